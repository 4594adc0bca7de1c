"""The public keys of those whose tokens are taken (JWKS by URL): fetched, fetched again before they are old, and pushed to the workers.

The last good ones count for as long as an issuer cannot be reached: a key is taken back by an answer without it, never by silence.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp

from extproc.callers.issuers import encode_keys
from extproc.callers.keyset import LARGEST, read
from extproc.callers.tokens import purpose_of
from extproc.config.callers import Issuer, Refresh
from extproc.config.model import Config
from extproc.control.bounded import up_to
from extproc.control.keepers import Keepers, pause_after
from extproc.control.way_out import DIRECT, WayOut
from extproc.ledger.metrics import Metrics
from extproc.link.server import Peer

PATIENCE = 5.0
"""Seconds that a start or a reload waits for the first keys."""
_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
"""Below the patience of whoever asks for a key that is not known (`callers.issuers.PATIENCE`)."""
_USUAL = 300.0
"""Seconds for which keys count where their issuer does not say it."""
_OK = 200
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,9})\"?\s*(?:,|$)", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:,|$)", re.IGNORECASE)

_log = logging.getLogger(__name__)


def fresh_for(cache_control: str, refresh: Refresh) -> float:
    """Seconds for which an answer with this `cache-control` (RFC 9111, section 5.2.2) counts, within the bounds."""
    told = _MAX_AGE.search(cache_control)
    wanted = 0.0 if _NOT_KEPT.search(cache_control) else float(told[1]) if told else _USUAL
    return max(refresh.least, min(wanted, refresh.most))


class Issuers:
    """The issuers of a configuration."""

    def __init__(
        self, push: Callable[[bytes], Awaitable[object]], metrics: Metrics, *, ca_file: Callable[[], str], patience: float = PATIENCE,
        way: WayOut = DIRECT,
    ) -> None:  # fmt: skip
        """`push` gives keys to the workers that are there. `ca_file`: who vouches for issuers."""
        self._push = push
        self._metrics = metrics
        self._ca_file = ca_file
        self._way = way
        self._keepers: Keepers[str, _Keeper] = Keepers(patience)

    async def follow(self, *configs: Config) -> None:
        """Keeps the keys of those configurations' issuers, and of no others. Returns once those are there that can be had, or soon."""
        issuers = [one for config in configs for one in config.callers.jwt]
        wanted = {purpose_of(one): one for one in issuers if one.jwks_url is not None and one.verify == "gateway"}
        make = {purpose: partial(_Keeper, one, self._tell, self._metrics, self._ca_file, self._way) for purpose, one in wanted.items()}
        await self._keepers.follow(make)
        for purpose, issuer in wanted.items():
            self._keepers.all[purpose].refresh = issuer.refresh
        await self._keepers.until_tried()
        await self._tell()

    def message(self) -> bytes:
        """All of them, for a worker that has none yet."""
        return encode_keys({purpose: keeper.keys for purpose, keeper in self._keepers.all.items() if keeper.keys is not None})

    async def renew(self, _: Peer, purpose: bytes) -> bytes:
        """A worker has seen a token that names a key which it does not know."""
        keeper = self._keepers.all.get(purpose.decode())
        if keeper is not None:
            await keeper.renew()
        return b""

    async def close(self) -> None:
        """Keeps none any more."""
        await self._keepers.close()

    async def _tell(self) -> None:
        await self._push(self.message())


class _Keeper:
    """The keys of one issuer."""

    def __init__(
        self, issuer: Issuer, changed: Callable[[], Awaitable[object]], metrics: Metrics, ca_file: Callable[[], str], way: WayOut
    ) -> None:  # fmt: skip
        self.keys: list[dict[str, Any]] | None = None
        """As they were last to be had."""
        self.refresh = issuer.refresh
        self.tried = asyncio.Event()
        """They have been asked for, whatever came of it."""
        self._name = issuer.issuer
        assert issuer.jwks_url is not None
        self._url = issuer.jwks_url
        self._changed = changed
        self._metrics = metrics
        self._ca_file = ca_file
        self._way = way
        self._failures = 0
        self._next = 0.0
        """When they may be asked for again because a key is not known."""
        self._fetching = asyncio.Lock()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def renew(self) -> None:
        """Fetches them, unless that has been done just now. Several who ask at once cause one fetch."""
        async with self._fetching:
            if time.monotonic() >= self._next:
                await self._fetch()

    async def _keep(self) -> None:
        while True:
            async with self._fetching:
                pause = await self._fetch()
            await asyncio.sleep(pause)

    async def _fetch(self) -> float:
        """Asks once. Returns how many seconds to wait until the next time."""
        try:
            keys, pause = await self._asked()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            pause = pause_after(self._failures)
            self._failed(str(error) or type(error).__name__)
        else:
            changed, self.keys = keys != self.keys, keys
            self._failures = 0
            self._metrics.issuers.fetched(self._name, len(keys))
            if changed:
                _log.info("the issuer %s has %d keys: %s", self._name, len(keys), ", ".join(str(one.get("kid", "-"))[:64] for one in keys))
                await self._changed()
        # It may be asked for that while it is asked again and again, too: what is bounded is how often.
        self._next = time.monotonic() + self.refresh.again
        self.tried.set()
        return pause

    async def _asked(self) -> tuple[list[dict[str, Any]], float]:
        way = self._way.session(self._url)
        context = self._way.context(self._ca_file(), bool(way)) if self._url.startswith("https:") else False
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, **way) as session,
            # Who may say where keys are is who is named; a redirect would let somebody else.
            session.get(self._url, allow_redirects=False, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status != _OK:
                raise ValueError(f"it answers with status {answer.status}")
            text = await up_to(LARGEST, answer.content.iter_any())
            return read(text), fresh_for(answer.headers.get("cache-control", ""), self.refresh)

    def _failed(self, why: str) -> None:
        self._failures += 1
        self._metrics.issuers.failed(self._name)
        then = "those at hand go on counting" if self.keys is not None else "its tokens are refused with 503 until there are some"
        log = _log.error if self._failures in (1, 10) or self._failures % 100 == 0 else _log.debug
        log("no keys from the issuer %s at %s: %s; %s", self._name, self._url, why, then)
