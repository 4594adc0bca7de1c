"""The noisy neighbour: what a tenant far beyond its limit costs another one, by a whole gateway on this machine.

    python -m bench.neighbours [--rounds N] [--seconds S] [--slots N] [--times N] [--delay S] [--workers N]

Two tenants share a gateway and a provider that answers after `delay` seconds. The noisy one has `slots` requests that may be under way at
once, so it could have `slots / delay` answers a second; it asks for `times` as many (100), each at its time, whatever came of those before
and whatever `Retry-After` says. The quiet one asks by a few connections, one request after another. Quiet and noisy rounds alternate, and
the medians of the rounds of each kind are compared. Exit code 1: the quiet tenant has lost a request, its median is more than 20 % worse,
or the noisy one was not held to its slots.

Noise, gateway and provider share the machine, so it must not be busy beyond what it can: `slots` and `delay` decide how much noise a
hundred times is.
"""
