"""Tokens of callers (JWT, RFC 7519; JWS, RFC 7515), checked in the worker and remembered until they end.

Rules: the compact form alone; the algorithm is one that the issuer may use and that belongs to the key's type, so that a public key is
never taken for a secret, and `none` is nothing; no key comes from the token (`jwk`, `jku`, `x5u`, `x5c` are not looked at); what a token
calls critical (`crit`) is not known here, so it is refused. RFC 8725 says why.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from extproc.callers.claims import claim_of, identity_of, judge, refused
from extproc.callers.joined import Claim, Joined
from extproc.callers.keyset import KeySet, decoded, made, read
from extproc.config.callers import Issuer
from extproc.errors import Reject
from extproc.values import Identity

LONGEST = 16 * 1024
"""Characters of a token that is looked at."""
_REMEMBERED = 8192
"""Tokens that a worker remembers: some 5 MB."""
_PARTS = 2
"""Dots in a token."""


class Sets(Protocol):
    """Where the keys of issuers are."""

    def find(self, purpose: str) -> KeySet | None:
        """Those of one; None: they were never to be had."""

    async def renew(self, purpose: str) -> None:
        """Has them fetched again, if that has not been done just now, and returns when it is done, or does not come about."""


class NoSets:
    """No keys but those that the configuration has itself."""

    def find(self, purpose: str) -> KeySet | None:
        """See `Sets`."""
        return None

    async def renew(self, purpose: str) -> None:
        """See `Sets`."""


class Header(msgspec.Struct, frozen=True):
    """What is read of a token's header."""

    alg: str
    kid: str | None = None
    crit: Any = None


class _Told(NamedTuple):
    identity: Identity
    until: float
    keys: KeySet
    issuer: str
    claim: Claim | None
    """Whom of the store the caller belongs to."""


def purpose_of(issuer: Issuer) -> str:
    """By what the keys of an issuer are found: they count for nobody else, and not for the same issuer at another place."""
    return f"{issuer.issuer} {issuer.jwks_url}"


def looks_like_one(text: str) -> bool:
    """Whether this may be a token: its header is JSON, so it begins with `{"`, in base64."""
    return text.startswith("ey") and text.count(".") == _PARTS


class Tokens:
    """The issuers of one snapshot, and the tokens of theirs that were seen."""

    __slots__ = ("_issuers", "_joined", "_known", "_now", "_own", "_sets")

    def __init__(
        self, issuers: Sequence[Issuer], sets: Sets, now: Callable[[], float] = time.time, joined: Joined | None = None
    ) -> None:  # fmt: skip
        """`now`: seconds since the epoch. `joined`: who joins callers with those of the store.

        Raises `ModuleNotFoundError` where `cryptography` is not installed.
        """
        self._issuers: Mapping[str, Issuer] = {one.issuer: one for one in issuers if one.verify == "gateway"}
        self._sets = sets
        self._now = now
        self._joined = joined
        self._own = {name: made(read(one.jwks)) for name, one in self._issuers.items() if one.jwks is not None}
        self._known: dict[bytes, _Told] = {}

    def __bool__(self) -> bool:
        return bool(self._issuers)

    async def find(self, token: str) -> Identity:
        """Whose token it is. Raises `Reject`: 401 if it is not good, 503 if that cannot be known, 403 as `Joined.join` does. Waits only for
        what is not known yet.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        told, now = self._known.get(digest), self._now()
        if told is not None:
            if now < told.until and self._keys(told.issuer) is told.keys:
                return await self._whole(told)
            del self._known[digest]
        told = await self._told(token, now)
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = told
        return await self._whole(told)

    async def _whole(self, told: _Told) -> Identity:
        if told.claim is None or self._joined is None:
            return told.identity
        return await self._joined.join(told.identity, told.claim)

    def _keys(self, issuer: str) -> KeySet | None:
        own = self._own.get(issuer)
        return own if own is not None else self._sets.find(purpose_of(self._issuers[issuer]))

    async def _told(self, token: str, now: float) -> _Told:
        header, claims, signature, signed = _opened(token)
        said = claims.get("iss")
        issuer = self._issuers.get(said) if type(said) is str else None
        if issuer is None:
            raise refused("The token's issuer (`iss`) is not known here.")
        if header.alg not in issuer.algorithms:
            raise refused("The token is signed in a way that is not taken here (`alg`).")
        keys = await self._that_has(issuer, header.kid)
        fitting = [key for key in keys.named(header.kid) if header.alg in key.algorithms]
        if not any(key.check(signature, signed, header.alg) for key in fitting):
            raise refused("The token's signature is not its issuer's." if fitting else "The token's key (`kid`) is not its issuer's.")
        until = judge(claims, issuer, now)
        return _Told(identity_of(claims, issuer), until, keys, issuer.issuer, claim_of(claims, issuer))

    async def _that_has(self, issuer: Issuer, key: str | None) -> KeySet:
        """The issuer's keys, fetched again if need be. Raises `Reject` 503 while there are none."""
        keys = self._keys(issuer.issuer)
        if issuer.jwks is None and (keys is None or not keys.named(key)):
            await self._sets.renew(purpose_of(issuer))
            keys = self._keys(issuer.issuer)
        if keys is None:
            message = "The gateway cannot get the keys of this token's issuer at the moment, so nobody knows whether it is good. Try again."
            raise Reject(503, "keys_unavailable", message, headers=(("retry-after", "5"),))
        return keys


def _opened(token: str) -> tuple[Header, dict[str, Any], bytes, bytes]:
    """Header, claims, signature, and what is signed. Raises `Reject` 401."""
    if len(token) > LONGEST:
        raise refused(f"The token is longer than {LONGEST} characters.")
    try:
        first, second, third = token.split(".")
        header = msgspec.json.decode(decoded(first), type=Header)
        claims = msgspec.json.decode(decoded(second))
        signature = decoded(third)
    except (ValueError, RecursionError):
        raise refused("This is no token that can be read: a JWT has three parts in base64url, with dots between them.") from None
    if header.crit is not None:
        raise refused("The token's header asks for something that is not known here (`crit`).")
    if type(claims) is not dict:
        raise refused("The token's claims are no JSON object.")
    return header, claims, signature, f"{first}.{second}".encode("ascii")
