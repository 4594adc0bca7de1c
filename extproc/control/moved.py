"""What is told where the store has moved to another database, and the state folder still has keys that are not there: nobody who has one of
these is let in.
"""

import asyncio
import logging
from contextlib import closing
from pathlib import Path

from extproc.errors import headline
from extproc.store import FILE

_log = logging.getLogger(__name__)


class Unasked(Exception):
    """The store elsewhere could not be asked; says why."""


def left_behind(state: Path, url: str) -> str:
    """What there is to say; empty: nothing. `url`: of the store elsewhere; empty: there is none. Raises `Unasked`."""
    if not url or not (state / FILE).exists():
        return ""
    # Slow to import, for a question that few gateways have.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from extproc.store.database import Database, in_folder, url_of  # noqa: PLC0415
    from extproc.store.transfer import LOOKED, left_behind  # noqa: PLC0415

    try:
        with closing(Database(in_folder(state), pooled=False)) as source, closing(Database(url_of(url), pooled=False)) as target:
            count = left_behind(source, target)
    except (SQLAlchemyError, ValueError) as error:
        raise Unasked(headline(error)) from None
    if not count:
        return ""
    many = f"{'at least ' if count >= LOOKED else ''}{count} key{'s' if count != 1 else ''}"
    return (
        f"$.store.url: {state / FILE} has {many} that the store there does not know, so whoever calls with one gets 401: "
        "`headgate store copy` takes everything over into an empty store; move the file away if it is of no more use"
    )


class Moved:
    """Says it in the log of a gateway, once for each store."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._asked = ""

    async def look(self, url: str, *, up: bool) -> None:
        """`url`: see `left_behind`. `up`: it can be asked."""
        if not up or url == self._asked:
            return
        self._asked = url
        try:
            told = await asyncio.to_thread(left_behind, self._state, url)
        except Unasked:
            # The feed says why; it is asked again when that is over.
            self._asked = ""
            return
        if told:
            _log.warning("%s", told)
