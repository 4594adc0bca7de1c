"""A state folder belongs to one process of a kind, which holds a lock there until it ends, whichever way."""

import fcntl
import os
from pathlib import Path

GATEWAY = "headgate.pid"
CONTROL_PLANE = "fleet.pid"
"""A file of its own: a gateway and the control plane of a fleet may share a folder."""


def hold(state: Path, file: str, what: str) -> int:
    """Makes the folder where there is none, and holds it for this process, or for who inherits the descriptor.

    `what`: holds it, for people. Raises `BlockingIOError` that names the process which has it, and `OSError` where it cannot be used.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state / file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise BlockingIOError(
            f"{what} runs already on {state} (pid {other}). Stop it (kill {other}), or give this one another --state."
        ) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def unusable(state: Path, error: OSError) -> str:
    """What people are told of what `hold` raises."""
    if isinstance(error, BlockingIOError):
        return str(error)
    return f"the state folder {state} cannot be used: {error.strerror}. Choose another with --state."
