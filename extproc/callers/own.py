"""Keys of providers that callers send as their own: who such a caller is, and where alone the key goes.

The key is passed on to one provider in one attempt, which the gate makes: it gets into no metadata and to no other target. The caller is
known by a hash of the key that is made with a secret of the operator's, so that neither the ledger nor the cache has anything of the key.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extproc.callers.claims import OWN
from extproc.callers.tokens import looks_like_one
from extproc.config.callers import Callers, OwnKeys
from extproc.config.model import Provider
from extproc.errors import Reject
from extproc.globs import regex
from extproc.keys import PREFIX
from extproc.upstream import credential_header
from extproc.values import Identity, OwnKey, Request

_DIGITS = 16
"""Of the hash, in hexadecimal: of 10,000 such callers, two are taken for one with a chance of 3 in 10^12."""
_LONGEST = 4096
_HERE = frozenset({"models", "model", "fixed", "status", "teams", "misplaced", "other_method"})
"""What the gateway answers itself: for that a key that nobody here knows is none."""
_SIGNS = re.compile(r"[\x21-\x7e]+")


class _Taken(Struct, frozen=True):
    pattern: re.Pattern[str]
    said: OwnKeys


class OwnTable:
    """Which keys are taken for callers' own."""

    __slots__ = ("_secret", "_taken")

    def __init__(self, callers: Callers) -> None:
        self._secret = (callers.hash_key or "").encode()
        self._taken = [_Taken(re.compile(regex(one.pattern), re.DOTALL), one) for one in callers.own_keys]

    def __bool__(self) -> bool:
        return bool(self._taken)

    def alone(self, sent: Sequence[str], request: Request) -> Identity | None:
        """Who a caller is who is not known otherwise; None if none of the keys that he has sent may be passed on."""
        own = None if request.endpoint.kind in _HERE else self._find(sent, with_key=False)
        if own is None:
            return None
        request.own = own
        return Identity(OWN + own.digest, OWN + own.digest)

    def beside(self, sent: Sequence[str], request: Request) -> None:
        """The same for a caller who is known: he stays who he is, and the ledger says whose key was used."""
        own = self._find(sent, with_key=True)
        if own is not None:
            request.own = own
            identity = request.identity
            request.identity = replace(identity, key=f"{identity.key}/{OWN}{own.digest}")

    def _find(self, sent: Sequence[str], *, with_key: bool) -> OwnKey | None:
        for key in sent:
            if key.startswith(PREFIX) or looks_like_one(key) or len(key) > _LONGEST or not _SIGNS.fullmatch(key):
                continue
            providers = [
                provider
                for one in self._taken
                if (with_key or not one.said.with_key) and one.pattern.fullmatch(key)
                for provider in one.said.providers
            ]
            if providers:
                digest = hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
                return OwnKey(key, tuple(dict.fromkeys(providers)), digest)
        return None


class Passing:
    """A handler after all filters: what is left of the targets is the one that the caller's own key is for."""

    __slots__ = ("_providers",)

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers

    async def request(self, request: Request) -> None:
        """See `Handler`. Raises `Reject` 403 where the key is for none of the targets."""
        own = request.own
        if own is None or not request.targets:
            return
        target = next((one for one in request.targets if one.provider in own.providers), None)
        carrier = credential_header(self._providers[target.provider]) if target is not None else None
        if target is None or carrier is None:
            message = "The key that was sent is a provider's, and this model is answered by another one. Ask for a model of that provider."
            raise Reject(403, "own_key_not_allowed", message)
        request.targets, request.retrying = (target,), None
        name, before = carrier
        request.set_headers[name] = before + own.credential
