"""By what callers of the admin API are known: the gateway's own admin key, a user's virtual key, or a token of an issuer's (JWT)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread
from sqlalchemy import or_, select

from extproc.admin import operator_keys
from extproc.admin.caller import OPERATOR, Caller
from extproc.admin.opened import Opened
from extproc.callers.keyset import decoded
from extproc.callers.tokens import Tokens, looks_like_one
from extproc.errors import Reject
from extproc.identity.levels import Level, inherit
from extproc.identity.record import Owner
from extproc.identity.roles import RANKS, highest
from extproc.keys import PREFIX, digest
from extproc.store.models import Key, Membership, Organization, Project, ServiceAccount, Team, User
from extproc.store.store import Tables
from extproc.values import Identity

OPERATION = "admin"
"""What a key has to have among its `endpoints`, where it has any, to be taken here."""
_CHALLENGE = (("www-authenticate", "Bearer"),)
_HEADERS = ("authorization", "x-api-key")
_BEARER = "bearer "


class Credentials:
    """Judges them. Raises `Reject`: 401 for what is not good, 403 for who is suspended or calls from elsewhere."""

    def __init__(self, state: Path, store: Opened, tokens: Tokens | None = None) -> None:
        """`tokens`: issuers whose tokens are taken."""
        self._state = state
        self._store = store
        self.tokens = tokens

    async def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Who calls, from that address; empty where nobody knows it."""
        sent = _sent(headers)
        if sent is None:
            message = "No key was sent. Send an admin key, or one of a user who has a role, as `Authorization: Bearer KEY`."
            raise Reject(401, "missing_api_key", message, headers=_CHALLENGE)
        if sent.startswith(operator_keys.PREFIX):
            return await to_thread.run_sync(self._operator, sent)
        if self.tokens and looks_like_one(sent):
            identity = await self.tokens.find(sent)
            return await to_thread.run_sync(self._told, identity, sent)
        return await to_thread.run_sync(self._holder, sent, address)

    def _operator(self, sent: str) -> Caller:
        try:
            good = operator_keys.is_good(self._state, sent)
        except (OSError, msgspec.DecodeError):
            message = "The admin keys cannot be read at the moment. The gateway's own folder of state has to be looked at."
            raise Reject(503, "keys_unavailable", message) from None
        if not good:
            raise _unknown()
        return OPERATOR

    def _holder(self, sent: str, address: str) -> Caller:
        if not sent.startswith(PREFIX) or not sent.isascii():
            raise _unknown()
        known = digest(sent)
        with self._store().read() as tables:
            query = select(Key).where(or_(Key.digest == known, Key.previous_digest == known), Key.deleted_at.is_(None))
            key = tables.work.session.scalars(query).first()
            if key is None or key.disabled_at is not None or _is_over(key, known, tables.work.now):
                raise _unknown()
            _check_levels(tables, key, address)
        owner = Owner(key.organization_id, key.project_id or "", key.team_id or "", key.user_id or "", key.service_account_id or "")
        return Caller(actor=owner.user or owner.service_account or key.id, user_id=owner.user, key=owner, key_id=key.id)

    def _told(self, identity: Identity, token: str) -> Caller:
        """Who shows a token: a user of the store's, if it knows whom the issuer calls so; else with the role that the token tells."""
        # Its signature has been checked.
        claims: dict[str, Any] = msgspec.json.decode(decoded(token.split(".")[1]))
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        with self._store().read() as tables:
            user = tables.users.of_subject(issuer, subject)
        if user is not None:
            if user.disabled_at is not None:
                raise _suspended()
            return Caller(actor=user.id, user_id=user.id)
        role = highest(role for role in RANKS if role in identity.roles)
        return Caller(actor=f"{identity.key} of {identity.tenant}", organization=identity.tenant, role=role)


def _sent(headers: Mapping[str, str]) -> str | None:
    for name in _HEADERS:
        if (value := headers.get(name)) is not None:
            return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else value.strip()
    return None


def _is_over(key: Key, known: bytes, now: int) -> bool:
    if key.expires_at is not None and key.expires_at <= now:
        return True
    return key.digest != known and (key.previous_until is None or key.previous_until <= now)


def _check_levels(tables: Tables, key: Key, address: str) -> None:
    """Raises `Reject` 403 where a level around the key is suspended, or does not allow this."""
    session = tables.work.session
    holders: list[tuple[type[Any], str | None]] = [
        (Organization, key.organization_id), (Project, key.project_id), (Team, key.team_id), (User, key.user_id),
        (ServiceAccount, key.service_account_id),
    ]  # fmt: skip
    found = [session.get(table, id) for table, id in holders if id is not None]
    if key.user_id is not None:
        query = select(Membership).where(
            Membership.user_id == key.user_id, Membership.organization_id == key.organization_id, Membership.deleted_at.is_(None),
            or_(Membership.team_id.is_(None), Membership.team_id == key.team_id),
        )  # fmt: skip
        found += session.scalars(query)
    if any(one is None or one.deleted_at is not None or one.disabled_at is not None for one in found):
        raise _suspended()
    grant = inherit(Level(kind="key", id=one.id, settings=one.settings) for one in (*found, key) if one is not None)
    if not grant.allows_endpoint(OPERATION):
        raise Reject(403, "endpoint_not_allowed", f"This key is not for administration: {OPERATION!r} is not among its `endpoints`.")
    if not grant.allows_address(address):
        raise Reject(403, "address_not_allowed", "This key may not be used from this address.")


def _unknown() -> Reject:
    return Reject(401, "invalid_api_key", "The key is not known here.", headers=_CHALLENGE)


def _suspended() -> Reject:
    return Reject(403, "suspended", "The caller, or what he belongs to, is suspended.")
