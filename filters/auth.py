"""Who is calling: a virtual key, wherever clients put one, becomes an identity. Without keys, only this machine may call.

A gateway that has no keys serves loopback only, and a web page must not reach it through the browser of somebody who works there (DNS
rebinding): so the Host has to be a loopback name, and so has the Origin, if there is one. A gateway on another address without keys
refuses everything unless its listener says `open: true`. Once keys exist, revoking the last one does not open it again.
"""

import binascii
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, ClassVar
from urllib.parse import unquote_plus, urlsplit

from msgspec import Meta, Struct

from extproc import (
    CREDENTIALS,
    EVERYTHING,
    KEY_PARAMETER,
    KEY_PROTOCOL,
    Environment,
    Filter,
    Handler,
    Identity,
    Joined,
    KeyTable,
    Known,
    Reject,
    Request,
    StoredKey,
    check_address,
    check_operation,
    client_address,
    is_loopback_name,
)

_BEARER = "bearer "
_EXPIRED = 401
_UNAVAILABLE = 503


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller's key, as `headgate keys hash` prints it."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    """What the ledger and the logs call it."""
    hash: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    """SHA-256 of the key; the key itself is never stored."""
    tenant: str = ""
    """Whom it belongs to: keys of one tenant share a cache and a line in reports. The key's own name unless given."""


class Auth(Filter, frozen=True, kw_only=True):
    """Authenticates callers by virtual key."""

    early: ClassVar[bool] = True

    keys: tuple[Key, ...] = ()
    """Keys, beside those that `headgate keys create` made."""
    required: bool | None = None
    """Refuse callers without a key. Unless given: yes as soon as there are keys."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        listener = environment.config.listener
        private = listener.open or (environment.private and listener.private)
        own = [StoredKey(key.name, binascii.unhexlify(key.hash.removeprefix("sha256:")), key.tenant) for key in self.keys]
        known = Known(environment.config, environment.issuers, Joined(environment.directory, environment.stored_keys))
        required = self.required if private else True
        table = KeyTable(environment.stored_keys, own, required=True if required is None and known else required)
        auth = _Auth(table, strangers_possible=not listener.open, proxies=listener.proxies)
        return _Several(auth, table, known) if known else auth


class _Auth:
    def __init__(self, table: KeyTable, *, strangers_possible: bool, proxies: int) -> None:
        self._table = table
        self._check_host = strangers_possible
        self._proxies = proxies

    async def request(self, request: Request) -> None:
        sent = False
        for key in _sent_keys(request.headers, request.path):
            sent = True
            try:
                identity = self._table.find(key)
            except Reject as reject:
                identity = self._another(request, reject)
            if identity is not None:
                request.identity = identity
                if identity.owner is not None:
                    _tell(request, identity)
                if identity.grant is not EVERYTHING:
                    self.admit(request)
                return
        if self._table.required:
            raise _refusal(sent)
        request.identity = Identity()
        if self._check_host:
            _check_loopback(request.headers)

    def _another(self, request: Request, reject: Reject) -> Identity | None:
        """Where nobody can tell whose a key is, or it has expired, another one that was sent may be good. Raises `reject` where none is;
        None: without a good one the caller is a stranger, and strangers are let in.
        """
        if reject.fault.status in {_EXPIRED, _UNAVAILABLE}:
            for key in _sent_keys(request.headers, request.path):
                with suppress(Reject):
                    if (identity := self._table.find(key)) is not None:
                        return identity
        if reject.fault.status == _EXPIRED and not self._table.required:
            return None
        raise reject

    def admit(self, request: Request) -> None:
        """Raises `Reject` 403 for what a caller may not of whom something is set, as far as it can be told from a request's head."""
        grant, endpoint = request.identity.grant, request.endpoint
        check_address(grant, client_address(request.headers, self._proxies))
        if not endpoint.reading:
            check_operation(grant, endpoint, request.path.partition("?")[0])


class _Several:
    """The same where callers are known by more than virtual keys."""

    def __init__(self, without: _Auth, table: KeyTable, known: Known) -> None:
        self._without = without
        self._table = table
        self._known = known

    async def request(self, request: Request) -> None:
        sent, refusal = list(dict.fromkeys(_sent_keys(request.headers, request.path))), None
        for key in sent:
            identity = None
            try:
                identity = await self._known.by_token(key)
            except Reject as reject:
                # Another one may be good; if none is, this is what is wrong.
                refusal = refusal or reject
            identity = identity or self._found(key)
            if identity is not None:
                self._take(request, identity, [one for one in sent if one != key])
                return
        identity = await self._known.by_envoy(request, sent)
        if identity is not None:
            self._take(request, identity, sent)
            return
        if refusal is not None:
            raise refusal
        if (stranger := self._known.by_own_key(request, sent)) is not None:
            request.identity = stranger
            return
        await self._without.request(request)

    def _take(self, request: Request, identity: Identity, others: list[str]) -> None:
        _tell(request, identity)
        if identity.grant is not EVERYTHING:
            self._without.admit(request)
        self._known.lend(request, others)

    def _found(self, key: str) -> Identity | None:
        try:
            return self._table.find(key)
        except Reject:
            # While nobody can tell, callers who are known by something else are; the others are told so in the end.
            return None


def _tell(request: Request, identity: Identity) -> None:
    """Whose the request is, to those behind this filter and to the ledger; its tenant and its key the ledger is told at the end."""
    record, grant = request.record, identity.grant
    request.identity = identity
    record.owner, record.key_id = identity.owner, identity.id
    record.tags, record.cost_centre = grant.tags, grant.cost_centre


def _sent_keys(headers: dict[str, str], path: str) -> Iterator[str]:
    for name in CREDENTIALS:
        if (value := headers.get(name)) is not None:
            yield value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else value.strip()
    # A browser's WebSocket can send no header but this one.
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(KEY_PROTOCOL):
            yield protocol.strip()[len(KEY_PROTOCOL) :]
    if "?" in path:
        for pair in path.partition("?")[2].split("&"):
            name, _, value = pair.partition("=")
            if unquote_plus(name) == KEY_PARAMETER:
                yield unquote_plus(value).strip()


def _refusal(sent: bool) -> Reject:
    challenge = (("www-authenticate", "Bearer"),)
    if sent:
        message = "The API key is not known here. It has to be one of this gateway's own keys."
        return Reject(401, "invalid_api_key", message, headers=challenge)
    message = "No API key was sent. Send one of this gateway's keys as `Authorization: Bearer KEY` or `x-api-key: KEY`."
    return Reject(401, "missing_api_key", message, headers=challenge)


def _check_loopback(headers: dict[str, str]) -> None:
    authority = headers.get(":authority", "")
    if not is_loopback_name(_host(f"//{authority}")):
        message = f"This gateway has no keys, so it answers to loopback names only, not to the Host {authority!r}. Create keys first."
        raise Reject(403, "foreign_host", message)
    origin = headers.get("origin")
    if origin is not None and not is_loopback_name(_host(origin)):
        message = f"This gateway has no keys, so web pages from elsewhere may not use it (Origin {origin!r}). Create keys to allow them."
        raise Reject(403, "foreign_origin", message)


def _host(url: str) -> str:
    if "@" in url:
        # Neither a Host nor an Origin has a user, so this is a trick; readers do not agree on which of the two names counts.
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
