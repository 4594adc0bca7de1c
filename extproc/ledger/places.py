"""Where the ledger's files are, below the state folder. Control process, workers and command line agree on them here."""

from pathlib import Path

from msgspec import Struct


class Places(Struct, frozen=True):
    """The ledger's files below one state folder."""

    journal: Path
    """Folder of the workers' segments."""
    database: Path
    lock: Path
    """Held by the one process that collects."""
    access_log: Path
    """Envoy's JSON access log; rotated ones lie beside it."""


def places(state: Path) -> Places:
    """The ledger's files below the folder `state`."""
    return Places(state / "journal", state / "ledger.sqlite3", state / "ledger.lock", state / "access.log")
