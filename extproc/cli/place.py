"""The store that a command works on: that of the state folder, or the one that the configuration names."""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from extproc.cli.common import state_folder
from extproc.errors import headline
from extproc.store import FILE

if TYPE_CHECKING:
    from extproc.store.store import Store, Tables

T = TypeVar("T")


class Place(Struct, frozen=True):
    """Where it is."""

    state: Path
    url: str = ""
    """Of PostgreSQL, instead of the folder."""
    models: tuple[str, ...] = ()
    """Names, patterns and aliases that are configured; empty where nobody knows."""

    @property
    def called(self) -> str:
        """What people are told of it."""
        return "the store" if self.url else str(self.state)

    @property
    def of_gateway(self) -> str:
        """Which gateway works with it."""
        return "that works with this store" if self.url else f"on {self.state}"

    def exists(self) -> bool:
        """Whether there is anything in it to read."""
        return bool(self.url) or (self.state / FILE).exists()

    def change(self, what: "Callable[[Tables], T]") -> T:
        """Changes something, all of it or nothing. Raises `Reject`, and `SystemExit` where the store cannot be used."""
        from extproc.store.models import Actor  # noqa: PLC0415 - see _opened

        return self._do(lambda store: _written(store, Actor("command line"), what))

    def look(self, what: "Callable[[Tables], T]") -> T:
        """Reads something. Raises as `change` does."""
        return self._do(lambda store: _read(store, what))

    def _do(self, what: "Callable[[Store], T]") -> T:
        # Slow to import: other commands do without.
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        from extproc.store.schema import Unusable  # noqa: PLC0415

        try:
            with closing(_opened(self)) as store:
                return what(store)
        except (SQLAlchemyError, Unusable) as error:
            print(f"the store cannot be used: {headline(error)}", file=sys.stderr)
            raise SystemExit(1) from None


def place(given: argparse.Namespace, *, reading: bool = False) -> Place:
    """The one that the arguments name. `reading`: see `state_folder`. Raises `SystemExit` where there can be none."""
    state, config = state_folder(given, reading=reading)
    if config is None:
        return Place(state)
    models = tuple(name for model in config.models for name in (model.name, *model.aliases))
    return Place(state, config.store.url if config.store is not None else "", models)


def _opened(where: Place) -> "Store":
    from extproc.store.database import url_of  # noqa: PLC0415 - slow to import, and needed by few commands
    from extproc.store.store import Store  # noqa: PLC0415 - see above

    if not where.url:
        return Store.open(where.state)
    try:
        return Store.open(url_of(where.url))
    except ValueError as error:
        print(f"$.store.url: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _written(store: "Store", actor: object, what: "Callable[[Tables], T]") -> T:
    with store.write(actor) as tables:  # type: ignore[arg-type]
        return what(tables)


def _read(store: "Store", what: "Callable[[Tables], T]") -> T:
    with store.read() as tables:
        return what(tables)
