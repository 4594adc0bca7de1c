"""Which books are asked: those of the state folder, or of all machines together, where there are such."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from extproc.ledger.places import places
from extproc.ledger.reports import Books, LocalBooks
from extproc.ledger.store import Store


@contextmanager
def books_of(state: Path) -> Iterator[Books]:
    """Those of a state folder, in one moment. Raises `sqlite3.Error`, also where its ledger is one of before there were aggregates."""
    with closing(Store(places(state).database, read_only=True)) as store:
        store.db.execute("BEGIN")
        yield LocalBooks(store)
