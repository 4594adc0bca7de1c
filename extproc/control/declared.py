"""Brings what the configuration declares (`identities`) into the store: at the start, after a reload, when a store elsewhere is back."""

import logging
from pathlib import Path

from extproc.config.declared import rows
from extproc.config.identities import Identities
from extproc.config.model import Config
from extproc.errors import Reject, headline

_log = logging.getLogger(__name__)


class Declaration:
    """What of it has been brought there by now. Not for two threads at once."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._done: tuple[str, Identities] | None = None
        self._trouble = ""

    def bring(self, config: Config, *, up: bool) -> None:
        """Does what is still to be done; what fails is told, and tried again the next time. `up`: see `Feed.up`."""
        if config.identities is None:
            return
        url = config.store.url if config.store is not None else ""
        wanted = (url, config.identities)
        if wanted == self._done or (url and not up):
            return
        trouble = self._apply(url, config.identities)
        if trouble and trouble != self._trouble:
            _log.error("what `identities` declares is not in force: %s", trouble)
        elif not trouble:
            self._done = wanted
        self._trouble = trouble

    def _apply(self, url: str, identities: Identities) -> str:
        """What is in the way; empty if it is done."""
        # Slow to import, and not needed where nothing is declared.
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        from extproc.store.database import url_of  # noqa: PLC0415
        from extproc.store.declared import CONFIGURATION, apply  # noqa: PLC0415
        from extproc.store.models import Actor  # noqa: PLC0415
        from extproc.store.schema import Unusable  # noqa: PLC0415
        from extproc.store.store import Store  # noqa: PLC0415

        try:
            store = Store.open(url_of(url) if url else self._state)
            try:
                with store.write(Actor(CONFIGURATION)) as tables:
                    apply(tables, rows(identities))
            finally:
                store.close()
        except (SQLAlchemyError, Unusable, Reject, OSError) as error:
            return headline(error)
        return ""
