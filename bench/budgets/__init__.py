"""Budgets of a fleet: what is promised of hard ones, tried with whole gateways that share one Redis.

    python -m bench.budgets [--gateways N] [--workers N] [--clients N] [--seconds S] [--budget USD]

Clients ask for whole answers and for streams, read some of these to their end and hang up on others, before an answer begins or in its
midst, and come again when they are refused. Each scene has a budget of its own, which runs out in its midst: as it is; with a worker of
each gateway killed (SIGKILL); and with leases. Exit code 1: one of these is not so:

    never overspent    what is settled and reserved is never more than the budget, nor is what the ledgers say in the end
    never underspent   nobody is refused what settled and reserved would have left room for; and when all is settled, one client can spend
                       the rest, but for less than a request reserves
    back to zero       when all is settled nothing is reserved, and no slot is taken
    the same books     what Redis has settled is what the ledgers of all gateways add up to, to the nano-dollar
"""
