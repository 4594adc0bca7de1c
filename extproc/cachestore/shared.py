"""The memory cache, shared by the workers: it lives in the control process (`CacheService`), and they reach it over the link
(`RemoteStore`).

Methods: `cache.begin` with `[key, token, lead, wait]`, answered `[found, value]`; `cache.put` with `[key, token, ttl, value]`;
`cache.abandon` with `[key, token]`. Values pass through as bytes: only workers know what an entry is. The worker makes the token, so
that it can give up a call whose answer it never saw: without that, a lead granted to a client that has hung up would block the key.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum

import msgspec
from msgspec import Struct

from extproc.cachestore.entry import Entry, Lead, decode, encode, new_lead
from extproc.cachestore.shelf import Shelf
from extproc.link.client import Link, LinkDown, LinkFailed

logger = logging.getLogger(__name__)

TIMEOUT = 1.0
"""Seconds that the control process may take to answer, beyond the time that was asked to wait."""


class Found(IntEnum):
    """How a `cache.begin` ended."""

    NOTHING = 0
    ENTRY = 1
    LEAD = 2


class _Begin(Struct, array_like=True):
    key: bytes
    token: bytes
    lead: bool
    wait: float


class _Begun(Struct, array_like=True):
    found: Found
    value: bytes = b""


class _Put(Struct, array_like=True):
    key: bytes
    token: bytes
    """Empty if there is no lead to end."""
    ttl: float
    value: bytes


class _Abandon(Struct, array_like=True):
    key: bytes
    token: bytes


_encode = msgspec.msgpack.Encoder().encode
_BEGIN = msgspec.msgpack.Decoder(_Begin)
_BEGUN = msgspec.msgpack.Decoder(_Begun)
_PUT = msgspec.msgpack.Decoder(_Put)
_ABANDON = msgspec.msgpack.Decoder(_Abandon)

_NOTHING, _LED = _encode(_Begun(Found.NOTHING)), _encode(_Begun(Found.LEAD))


class CacheService:
    """The control process's part. `handlers` go to the `LinkServer`, `disconnected` to its hook."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], bytes | Awaitable[bytes]]]:
        """What workers may call."""
        return {"cache.begin": self._begin, "cache.put": self._put, "cache.abandon": self._abandon}

    def disconnected(self, peer: object) -> None:
        """A worker is gone: its leads end at once."""
        self._shelf.dead(peer)

    def _begin(self, peer: object, payload: bytes) -> bytes | Awaitable[bytes]:
        call = _BEGIN.decode(payload)
        value = self._shelf.look(call.key)
        if value is None and call.lead:
            if self._shelf.lead(call.key, call.token, peer):
                return _LED
            if call.wait > 0:
                return self._waited(self._shelf.wait(call.key, call.token, peer, call.wait))
        return _begun(value)

    async def _waited(self, waiting: Awaitable[bytes | None]) -> bytes:
        return _begun(await waiting)

    def _put(self, peer: object, payload: bytes) -> bytes:
        call = _PUT.decode(payload)
        self._shelf.put(call.key, call.token, call.value, call.ttl)
        return b""

    def _abandon(self, peer: object, payload: bytes) -> bytes:
        call = _ABANDON.decode(payload)
        self._shelf.release(call.key, call.token)
        return b""


def _begun(value: bytes | None) -> bytes:
    return _NOTHING if value is None else _encode(_Begun(Found.ENTRY, value))


class RemoteStore:
    """A worker's part: a `Store` over the link. While the control process is away there is no cache, and nobody waits for one."""

    def __init__(self, link: Link, *, timeout: float = TIMEOUT) -> None:
        self._link = link
        self._timeout = timeout

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """See `Store`."""
        mine = new_lead()
        try:
            answer = await self._link.call("cache.begin", _encode(_Begin(key, mine.token, lead, wait)), timeout=wait + self._timeout)
            begun = _BEGUN.decode(answer)
        except (LinkDown, LinkFailed, msgspec.DecodeError) as error:
            logger.debug("no cache: %s", error)
            self._give_up(key, mine, lead)
            return None
        except BaseException:  # the caller was cancelled, or closed: nobody is left to use a lead that may be on its way
            self._give_up(key, mine, lead)
            raise
        if begun.found is Found.LEAD:
            return mine
        return decode(begun.value) if begun.found is Found.ENTRY else None

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """See `Store`. When it returns, every other worker finds the entry."""
        call = _Put(key, lead.token if lead is not None else b"", ttl, encode(entry))
        try:
            await self._link.call("cache.put", _encode(call), timeout=self._timeout)
        except (LinkDown, LinkFailed) as error:
            logger.debug("not cached: %s", error)
            if lead is not None:
                self._give_up(key, lead, True)

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """See `Store`. Does not wait."""
        self._give_up(key, lead, True)

    def _give_up(self, key: bytes, lead: Lead, led: bool) -> None:
        if led:
            self._link.notify("cache.abandon", _encode(_Abandon(key, lead.token)))
