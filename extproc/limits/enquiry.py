"""Prices that the control process is asked for, over the link; what it says is remembered for a while."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from extproc.limits.quotes import PRICE, encode, read_price
from extproc.link.client import Link, LinkDown, LinkFailed
from extproc.price import Price

TIMEOUT = 2.0
"""Seconds that the control process may take."""
_FRESH = 60.0
_AGAIN = 2.0
"""Seconds for which it is believed that nobody can tell."""
_KNOWN = 4096

_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    price: Price | None
    until: float


class RemoteQuotes:
    """`Quotes` over the link. However many ask for one at once, it is asked once."""

    def __init__(self, link: Link, *, timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._timeout = timeout
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[Price | None]] = {}

    async def find(self, provider: str, model: str) -> Price | None:
        """See `Quotes`."""
        key = provider, model
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            return known.price
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_task(self._ask(key))
        return await asyncio.shield(asked)

    async def _ask(self, key: tuple[str, str]) -> Price | None:
        price, fresh = None, _FRESH
        try:
            price = read_price(await self._link.call(PRICE, encode(key), timeout=self._timeout, hold=True))
        except (LinkDown, LinkFailed, msgspec.DecodeError) as error:
            fresh = _AGAIN
            _log.warning("what %s/%s charges is not known, so budgets reserve nothing for it: %s", *key, error)
        finally:
            del self._asked[key]
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[key] = _Known(price, self._clock() + fresh)
        return price
