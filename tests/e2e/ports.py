"""Free ports for tests that run side by side, below the kernel's ephemeral ones.

A port is given out some seconds before the server that gets it listens. So every process that runs tests takes whole blocks of ports for
itself, and gives none out twice as long as there are others.
"""

import itertools
import socket
from collections.abc import Iterator

_FIRST, _COUNT, _BLOCK = 18_000, 12_000, 100


def _bound(port: int) -> socket.socket | None:
    """A socket with that port of loopback, if nobody has it."""
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    return probe


def _ports() -> Iterator[int]:
    for block in range(_FIRST, _FIRST + _COUNT, _BLOCK):
        held = _bound(block)
        if held is not None:
            # The first port is the lock on all of them. The kernel unlocks it, when this process ends.
            held.detach()
            yield from range(block + 1, block + _BLOCK)


_candidates: Iterator[int] = itertools.cycle(_ports())


def free_port() -> int:
    """A port of loopback that nobody has, and that nobody else is given as long as this process lives."""
    for port in itertools.islice(_candidates, _COUNT):
        if (probe := _bound(port)) is not None:
            probe.close()
            return port
    raise OSError("no free port")
