"""Which books are asked: those of a state folder, or those of several machines together."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from extproc.ledger.places import places
from extproc.ledger.reports import Books, LocalBooks
from extproc.ledger.store import Store


@contextmanager
def books_of(state: Path) -> Iterator[Books]:
    """Those of a state folder, in one moment. Raises `sqlite3.Error`, also where its ledger is one of before there were sums."""
    with closing(Store(places(state).database, read_only=True)) as store:
        store.db.execute("BEGIN")
        yield LocalBooks(store)


@contextmanager
def central_books(url: str) -> Iterator[Books]:
    """Those in PostgreSQL. Raises `ValueError` for the URL, `SQLAlchemyError`."""
    # Slow to import, for what few need.
    from extproc.ledger.central import Central

    with closing(Central(url)) as central:
        yield central
