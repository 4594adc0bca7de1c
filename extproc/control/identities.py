"""The identities of a state folder, or of a database elsewhere, as the control process follows them: who is in force, and what has changed.
It makes nothing.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.errors import headline
from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.levels import Level
from extproc.identity.named import Named
from extproc.identity.record import Changes, ExpiringKey, Owner, StoredKey
from extproc.identity.settings import Plan
from extproc.keyfile import Stamp
from extproc.store import FILE

if TYPE_CHECKING:
    from extproc.store.changes import Following


class Identities:
    """Those of one state folder. Raises `OSError` where they cannot be read."""

    def __init__(self, state: Path, url: str = "") -> None:
        """`url`: of the database that they are in, instead of the folder."""
        self._url = url
        self._state = state
        self._path = state / FILE

    @contextmanager
    def _store(self) -> Iterator["Following | None"]:
        """None while there is none."""
        if self._url:
            from extproc.store.local import FAULTS, opened_at  # noqa: PLC0415 - see below

            try:
                yield opened_at(self._url)
            except (*FAULTS, ValueError) as error:
                raise OSError(f"the store cannot be read: {headline(error)}") from None
            return
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            yield None
            return
        # Slow to import: a gateway without keys does without, and so do commands.
        from extproc.store.local import FAULTS, opened  # noqa: PLC0415

        try:
            yield opened(self._state, inode)
        except FAULTS as error:
            raise OSError(f"the store {self._path} cannot be read: {headline(error)}") from None

    def version(self) -> tuple[tuple[int, int] | None, ...]:
        """Changes whenever those of the folder do, and at most other times, too: SQLite writes into its log first, and later into the file.

        Of a database elsewhere `feed.py` tells.
        """
        if self._url:
            return ()
        return tuple(map(_touched, (self._path, self._path.with_name(f"{FILE}-wal"))))

    def exist(self) -> bool:
        """Whether there are keys, or ever were any. Who keeps them elsewhere means to have some: nobody is let in while it is not known."""
        if self._url:
            return True
        with self._store() as store:
            return store is not None and store.keys_exist()

    def stamp(self) -> Stamp | None:
        """The last change."""
        with self._store() as store:
            return store.stamp() if store is not None else None

    def since(self, stamp: Stamp | None) -> Changes | None:
        """See `Following.since`."""
        with self._store() as store:
            if store is None:
                return Changes() if stamp is None else None
            return store.since(stamp)

    def each(self) -> Iterator[StoredKey]:
        """The keys in force."""
        with self._store() as store:
            if store is not None:
                yield from store.each()

    def expiring(self, expires: int, after: str, until: int, most: int) -> list[ExpiringKey]:
        """See `Following.expiring`."""
        with self._store() as store:
            return store.expiring(expires, after, until, most) if store is not None else []

    def resolve(self, said: Claimed) -> Resolved:
        """Who is meant by what a token or a certificate says."""
        with self._store() as store:
            return store.resolve(said) if store is not None else Resolved(missing="anybody")

    def teams(self, owner: Owner) -> list[TeamName]:
        """The teams of a caller."""
        with self._store() as store:
            return store.teams(owner) if store is not None else []

    def named(self, ids: Collection[str]) -> dict[str, Named]:
        """What these are called, as far as they are in force."""
        with self._store() as store:
            return store.named(ids) if store is not None else {}

    def levels(self) -> tuple[tuple[Level, ...], tuple[Plan, ...]]:
        """All levels that say something, and all plans."""
        with self._store() as store:
            if store is None:
                return (), ()
            levels, plans = store.levels()
            return tuple(levels), tuple(plans.values())


def _touched(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size
