"""Free ports for tests that run side by side: each process of the test run takes its own range, below the kernel's ephemeral ones."""

import itertools
import os
import socket

_FIRST, _EACH = 18_000, 600
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_candidates = itertools.cycle(range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH))


def free_port() -> int:
    """A port of loopback that nobody has, and that no other test process will take."""
    for port in itertools.islice(_candidates, _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port in this test process's range")
