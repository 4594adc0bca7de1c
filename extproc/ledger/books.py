"""Which books are asked: those of a state folder, or those of several machines together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.ledger.places import places
from extproc.ledger.reports import Books, LocalBooks
from extproc.ledger.store import Store
from extproc.ledger.sums import SQLITE

if TYPE_CHECKING:
    from extproc.ledger.central import Central


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
    from extproc.ledger import central

    with closing(central.Central(url)) as books:
        yield books


class Ledgers:
    """The books, for whoever is asked again and again. Safe for threads."""

    def __init__(self, state: Path, url: str = "") -> None:
        """`url`: of PostgreSQL; empty: there is none, and the state folder's are asked. Raises `ValueError` for the URL."""
        self._state = state
        self._central: Central | None = None
        if url:
            from extproc.ledger import central

            self._central = central.Central(url)

    @contextmanager
    def books(self) -> Iterator[Books]:
        """See `books_of`. Before the first request there are books without an entry."""
        if self._central is not None:
            yield self._central
        elif places(self._state).database.exists():
            with books_of(self._state) as books:
                yield books
        else:
            yield NoBooks()

    def close(self) -> None:
        """Ends connections."""
        if self._central is not None:
            self._central.close()


class NoBooks:
    """Nothing has been written yet."""

    dialect = SQLITE

    def rows(self, query: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See `Books`."""
        return ()
