"""What a token says, judged and made into an identity: pure, and no matter who has checked its signature.

Who is refused is told what is wrong with the token as far as he can read it himself, and nothing of what is configured here.
"""

from typing import Any

from extproc.callers.joined import Claim
from extproc.config.callers import ROLES, Issuer, claim_at, path_of
from extproc.errors import Reject
from extproc.identity.claimed import Claimed
from extproc.values import Identity

OWN = "own:"
"""Begins the tenants of callers who have no more than a provider's key. No token can say that it is one of those."""
_LONGEST = 256
"""Characters of a name."""
_LATEST = 1e12
"""Seconds since the epoch, far beyond any date: what is more is no number of seconds."""


def refused(message: str, code: str = "invalid_token") -> Reject:
    """A token is not taken (RFC 6750, section 3)."""
    return Reject(401, code, message, headers=(("www-authenticate", 'Bearer error="invalid_token"'),))


def judge(claims: dict[str, Any], issuer: Issuer, now: float) -> float:
    """Until when these claims of that issuer count, in seconds since the epoch. Raises `Reject` 401 where they do not."""
    until = _seconds(claims, "exp")
    if until is None:
        raise refused("The token does not say when it ends (`exp`).")
    if now >= until + issuer.leeway:
        raise refused("The token has expired.", "expired_token")
    begins = _seconds(claims, "nbf")
    if begins is not None and now < begins - issuer.leeway:
        raise refused("The token does not count yet (`nbf`).")
    made = _seconds(claims, "iat")
    if made is not None and now < made - issuer.leeway:
        raise refused("The token says that it was made in the future (`iat`).")
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if type(named) is not list or not any(one in issuer.audiences for one in named if isinstance(one, str)):
        raise refused("The token is not for this gateway (`aud`).")
    for claim, wanted in issuer.require.items():
        if not _has(claims.get(claim), (wanted,) if isinstance(wanted, str) else wanted):
            raise refused(f"The token does not say what it has to (`{claim}`).", "insufficient_token")
    return until + issuer.leeway


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    """A moment (RFC 7519, section 2, NumericDate). Raises `Reject` where it is none."""
    value = claims.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) < _LATEST:
        raise refused(f"The token's `{name}` is no date.")
    return float(value)


def _has(value: Any, wanted: tuple[str, ...]) -> bool:
    return any(one in wanted for one in (value if type(value) is list else [value]) if isinstance(one, str))


def identity_of(claims: dict[str, Any], issuer: Issuer) -> Identity:
    """Who calls, by what a token says. Raises `Reject` 401 where it does not say that."""
    key = _name(claims, path_of(issuer.claims.key))
    if not key:
        raise refused("The token does not say who calls.")
    said = path_of(issuer.claims.tenant)
    tenant = _name(claims, said) if said else ""
    if said and not tenant and not issuer.tenant:
        raise refused("The token does not say whom its caller belongs to.")
    return Identity(tenant or issuer.tenant or issuer.issuer, key, roles=_roles(claims, issuer))


def claim_of(claims: dict[str, Any], issuer: Issuer) -> Claim | None:
    """Whom of the store the caller belongs to; None where this issuer does not say it. Raises `Reject` 401 where it has to."""
    paths = [path_of(claim) for claim in (issuer.claims.organization, issuer.claims.team, issuer.claims.user)]
    if not any(paths):
        return None
    organization, team, user = (_name(claims, path) if path else "" for path in paths)
    refuse = issuer.unknown == "refuse"
    if refuse and ((paths[0] and not organization) or not (organization or team or user)):
        raise refused("The token does not say which organization, team or user its caller is.")
    tenant = issuer.claims.tenant is not None or bool(issuer.tenant)
    return Claim(Claimed(issuer.issuer, organization, team, user), tenant, refuse) if organization or team or user else None


def _name(claims: dict[str, Any], path: tuple[str, ...]) -> str:
    """A claim that is a name; empty where there is none. Raises `Reject` where it cannot be one."""
    value = claim_at(claims, path)
    if value is None or value == "":
        return ""
    text = str(value) if type(value) is int else value
    if type(text) is not str or len(text) > _LONGEST or not text.isprintable() or text.startswith(OWN):
        raise refused(f"The token's `{'.'.join(path)}` is no name that can be used.")
    return text


def _roles(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    value = claim_at(claims, path_of(issuer.claims.roles))
    said = value.replace(",", " ").split() if isinstance(value, str) else value if type(value) is list else []
    held = {one for one in said if isinstance(one, str)}
    means = issuer.roles or {role: (role,) for role in ROLES}
    return tuple(role for role in ROLES if not held.isdisjoint(means.get(role, ())))
