"""All ways in which callers are known beside their virtual keys, as one snapshot has them."""

import time
from collections.abc import Callable, Sequence

from extproc.callers.claims import claim_of, identity_of, judge, refused
from extproc.callers.joined import Joined
from extproc.callers.own import OwnTable
from extproc.callers.tokens import Sets, Tokens, looks_like_one
from extproc.callers.xfcc import HEADER, Certified
from extproc.config.model import Config
from extproc.values import Identity, Request


class Known:
    """They are asked in the order in which a caller is known: by a token, by what Envoy says of him, by a key of his own."""

    __slots__ = ("_certified", "_fronted", "_joined", "_now", "_own", "_tokens")

    def __init__(self, config: Config, sets: Sets, joined: Joined, now: Callable[[], float] = time.time) -> None:
        """`joined`: who joins callers with those of the store. `now`: seconds since the epoch."""
        callers = config.callers
        self._now = now
        self._joined = joined
        self._tokens = Tokens(callers.jwt, sets, now, joined)
        self._fronted = [one for one in callers.jwt if one.verify != "gateway"]
        self._certified = Certified(callers.mesh) if callers.mesh is not None and config.certified else None
        self._own = OwnTable(callers)

    def __bool__(self) -> bool:
        return bool(self._tokens or self._fronted or self._certified is not None or self._own)

    async def by_token(self, text: str) -> Identity | None:
        """Whose token that is; None if it is none. Raises `Reject` as `Tokens.find` does."""
        return await self._tokens.find(text) if self._tokens and looks_like_one(text) else None

    async def by_envoy(self, request: Request, sent: Sequence[str]) -> Identity | None:
        """Who calls by a token that Envoy has checked, or by a certificate that a proxy has. Raises `Reject` 401 where what they say is not
        good enough, or where a token was sent that is not good.
        """
        for issuer in self._fronted:
            claims = request.vouched.get(issuer.payload)
            if type(claims) is dict and claims.get("iss") == issuer.issuer:
                judge(claims, issuer, self._now())
                identity, claim = identity_of(claims, issuer), claim_of(claims, issuer)
                return identity if claim is None else await self._joined.join(identity, claim)
        if self._fronted and not self._tokens and any(map(looks_like_one, sent)):
            raise refused("The token is not good: it has expired, is not its issuer's, or is not for this gateway.")
        if self._certified is not None and (header := request.headers.get(HEADER)) is not None:
            found = self._certified.find(header)
            if found is None:
                return None
            return found.identity if found.claim is None else await self._joined.join(found.identity, found.claim)
        return None

    def by_own_key(self, request: Request, sent: Sequence[str]) -> Identity | None:
        """Who calls with a provider's key of his own, and nothing else; None where none may be passed on."""
        return self._own.alone(sent, request) if self._own else None

    def lend(self, request: Request, others: Sequence[str]) -> None:
        """A caller who is known may have sent a key of his own as well, among the `others`."""
        if self._own:
            self._own.beside(others, request)
