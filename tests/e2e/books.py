"""What a gateway's ledger holds, entry by entry: by request id, as the client saw it in `x-request-id`."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from tests.e2e.gateway import Gateway

Entry = dict[str, Any]


def entries(gateway: Gateway) -> dict[str, Entry]:
    """All that the ledger holds now, by request id."""
    path = gateway.state / "ledger.sqlite3"
    if not path.exists():
        return {}
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    connection.row_factory = sqlite3.Row
    try:
        return {row["id"]: dict(row) for row in connection.execute("SELECT * FROM entries ORDER BY time")}
    finally:
        connection.close()


def journaled(gateway: Gateway, id: str) -> bool:
    """Whether a request is over: its record is the last thing that is made of it. The ledger has it a little later."""
    for segment in (gateway.state / "journal").glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError):
            if id in segment.read_text():
                return True
    return id in entries(gateway)


def entry(gateway: Gateway, id: str, seconds: float = 30.0) -> Entry:
    """One request's entry, as soon as it is there."""
    return collected(gateway, [id], seconds)[id]


def collected(gateway: Gateway, ids: Iterable[str], seconds: float = 30.0) -> dict[str, Entry]:
    """All entries, as soon as these are among them."""
    wanted = set(ids)
    return when(gateway, lambda found: wanted <= found.keys(), f"{len(wanted)} requests are in the ledger", seconds)


def when(gateway: Gateway, true: Callable[[dict[str, Entry]], object], what: str, seconds: float = 30.0) -> dict[str, Entry]:
    """All entries, as soon as something is true of them."""
    found: dict[str, Entry] = {}

    def look() -> object:
        nonlocal found
        found = entries(gateway)
        return true(found)

    gateway.until(look, what, seconds)
    return found
