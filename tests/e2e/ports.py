"""Free ports for tests that run side by side, below the kernel's ephemeral ones."""

import itertools
import os
import socket
from collections.abc import Iterator

_FIRST, _COUNT = 18_000, 12_000
# Every process begins somewhere else, test runs side by side included, and goes round.
_begin = os.getpid() * 97 % _COUNT
_candidates: Iterator[int] = itertools.cycle([*range(_FIRST + _begin, _FIRST + _COUNT), *range(_FIRST, _FIRST + _begin)])


def free_port() -> int:
    """A port of loopback that nobody has, and that this process has not given out lately."""
    for port in itertools.islice(_candidates, _COUNT):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
