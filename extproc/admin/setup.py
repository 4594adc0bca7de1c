"""What the control process tells the process of the admin API, in a file for its owner alone: it may hold the password of a database."""

from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.config.callers import Issuer

LINK = "api-control.sock"
"""Where the control process tells it the keys of issuers: those, and nothing of providers."""


class Setup(Struct, frozen=True, kw_only=True):
    """All that it needs to know."""

    state: str
    """The state folder."""
    run_dir: str
    """The folder of sockets."""
    store: str = ""
    """URL of the database of identities; empty: it is in the state folder."""
    ledger: str = ""
    """URL of the ledger that machines share; empty: the one in the state folder is all there is."""
    issuers: tuple[Issuer, ...] = ()
    """Whose tokens are taken."""
    drain: float = 25.0
    """Seconds that requests under way are given."""


def read(path: Path) -> Setup:
    """What has been told. Raises `OSError`."""
    return msgspec.json.decode(path.read_bytes(), type=Setup)


READY = "api-{}.ready"
"""Name of the file that says that a process serves."""


def ready_file(run_dir: str, pid: int) -> Path:
    """What the process with this id makes once it serves."""
    return Path(run_dir) / READY.format(pid)
