"""Keys of issuers: fetched by the control process (`control/issuers.py`), pushed to the workers, and asked for where one is not known.

They are no part of a snapshot: a key that an issuer has taken back is worthless at once, whatever else is in force.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from extproc.callers.keyset import KeySet, made
from extproc.link.client import Link, LinkDown, LinkFailed

ISSUERS = "issuers"
"""The push that carries them: by purpose (`tokens.purpose_of`), the keys as `keyset.read` gives them."""
RENEW = "issuers.renew"
"""The call that asks for those of a purpose to be fetched again. It returns when that is done, or is not going to be."""

PATIENCE = 4.0
"""Seconds that a request waits for that at most."""
_AGAIN = 1.0
"""Seconds for which a worker does not ask again: whoever sends tokens that name keys of his own invention costs no more than that."""

_decode = msgspec.msgpack.Decoder(dict[str, list[dict[str, Any]]]).decode
_log = logging.getLogger(__name__)


def encode_keys(keys: Mapping[str, list[dict[str, Any]]]) -> bytes:
    """A push: all of them, in place of what was there."""
    return msgspec.msgpack.encode(keys)


class RemoteSets:
    """A worker's view of them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._said: dict[str, list[dict[str, Any]]] = {}
        self._made: dict[str, KeySet] = {}
        self._asking: dict[str, asyncio.Future[None]] = {}
        self._asked: dict[str, float] = {}

    def take(self, data: bytes) -> None:
        """Keys as they are pushed. Those that are the same stay the same object."""
        said = _decode(data)
        self._made = {purpose: one for purpose, one in self._made.items() if said.get(purpose) == self._said.get(purpose)}
        self._said = said

    def find(self, purpose: str) -> KeySet | None:
        """See `tokens.Sets`."""
        found = self._made.get(purpose)
        if found is None and purpose in self._said:
            found = self._made[purpose] = made(self._said[purpose])
        return found

    async def renew(self, purpose: str) -> None:
        """See `tokens.Sets`. Those who ask while one is asking wait for the same answer."""
        if (asking := self._asking.get(purpose)) is not None:
            await asyncio.shield(asking)
            return
        if time.monotonic() < self._asked.get(purpose, 0.0):
            return
        self._asking[purpose] = done = asyncio.get_running_loop().create_future()
        try:
            await self._link.call(RENEW, purpose.encode(), timeout=PATIENCE)
        except (LinkDown, LinkFailed) as error:
            _log.warning("the keys of an issuer could not be asked for: %s", error)
        finally:
            self._asked[purpose] = time.monotonic() + _AGAIN
            del self._asking[purpose]
            done.set_result(None)
