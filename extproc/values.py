"""The plain values that filters see: a request, who sent it, where it may go, and what came back. Nothing here knows Envoy or gRPC."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from extproc.aside import is_bulky
from extproc.dialects.dialect import common
from extproc.dialects.envelope import Envelope, open_document, open_envelope
from extproc.dialects.forms import open_form, set_model
from extproc.dialects.splice import set_member
from extproc.errors import Reject
from extproc.identity.levels import EVERYTHING, Grant
from extproc.identity.record import Owner
from extproc.ledger.record import Record
from extproc.tried import Tried
from extproc.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.config.timeouts import Patience
    from extproc.retrying import Retrying

PROVIDER_HEADER = "x-headgate-provider"
"""Names the provider that is to be asked: for requests that name no model, above all (files, batches, unknown paths)."""

Kind = str
"""An operation of the dialects (`chat`, `embeddings`, ...): translated between those that have it. `json`: JSON with a model in it, for
providers of the same dialect; `form`: a form with one; `live`: a WebSocket. `models`, `model`, `fixed`, `status`, `teams`: answered by us.
`raw`: anything else; the body is not looked at. `misplaced`: a model in the body, but not asked in the one way that is read;
`other_method`: by another method than POST."""

_UNREAD = frozenset({"models", "fixed", "status", "teams", "raw", "misplaced", "other_method", "live"})
_NO_JSON = _UNREAD | {"form"}


class BodyMode(IntEnum):
    """How a body is handed to us. Values are those of Envoy's `ProcessingMode.BodySendMode`."""

    NONE = 0
    """Not at all: it passes us by."""
    STREAMED = 1
    """As it comes."""
    BUFFERED = 2
    """Whole."""
    BUFFERED_PARTIAL = 3
    """Whole, or as much of it as Envoy holds: then the rest passes us by."""
    FULL_DUPLEX_STREAMED = 4
    """As it comes, and it goes on as we say it: more, less, or the end before it has come."""


class Endpoint(Struct, frozen=True):
    """What a path means."""

    dialect: str
    kind: Kind
    model: str = ""
    """The one that the path names."""
    stream: bool | None = None
    """Whether the answer is streamed, where the path says so, or the dialect's habit where the body says nothing."""
    asks_usage: bool = False
    """See `Place.asks_usage`."""
    rest: str = ""
    """What follows the model's name in the path."""
    body: bytes = b""
    """See `Place.body`."""
    spoken: bool = False
    """See `Place.spoken`."""
    sdk: str = ""
    """`mistral`: the client is an SDK that reads the dialect in a form of its own."""
    gives: str = ""
    """See `Place.gives`."""
    reading: str = ""
    """See `Place.reading`."""

    @property
    def operation(self) -> Kind:
        """What the kind is a form of, if it is: what providers of other dialects are asked for."""
        return common(self.kind)

    @property
    def converses(self) -> bool:
        """A conversation is asked for, in whatever form: every provider holds them."""
        return common(self.kind) == "chat"

    @property
    def buffered(self) -> bool:
        """True where the gate reads the request's body before it decides."""
        return self.kind not in _UNREAD

    @property
    def json(self) -> bool:
        """True where that body is JSON, so that `Request.json` may be asked for."""
        return self.kind not in _NO_JSON


@lru_cache(maxsize=1024)
def _lane(tenant: str) -> str:
    return blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() if tenant else ""


class Identity(Struct, frozen=True, omit_defaults=True):
    """Who is calling."""

    tenant: str = ""
    """Whom the key belongs to; the boundary that the cache and the ledger keep."""
    key: str = ""
    """The key's name, never the key."""
    id: str = ""
    """The key's id; empty where it has none, as those that stand in the configuration."""
    owner: Owner | None = None
    """Whom the key belongs to: ids of organization, team, user, ..."""
    expires_at: int | None = None
    """Milliseconds since 1970: until then the key is good."""
    grant: Grant = EVERYTHING
    """What it may do, and what is kept of that. It cannot travel: an identity that is to is made without."""
    roles: tuple[str, ...] = ()
    """What a caller's token says that he may do here: owner, admin, member, viewer."""

    @property
    def lane(self) -> str:
        """The tenant's, for `Aside.work`. It tells tenants apart to the adapter, which has no business with who they are.

        It hides nothing, and needs no salt: it goes as far as the call does, in whose metadata the record names the tenant beside it.
        """
        return _lane(self.tenant)


class OwnKey(NamedTuple):
    """A provider's key that the caller has sent as his own."""

    credential: str
    providers: tuple[str, ...]
    """To whom it may be sent."""
    digest: str
    """A keyed hash of it, in hexadecimal."""


class Target(Struct, frozen=True):
    """A provider, and the model name that it knows."""

    provider: str
    model: str
    """Empty where the request names no model (`raw`)."""


_NONE: Mapping[Target, tuple[Patience, ...]] = {}
_UNVOUCHED: Mapping[str, Any] = {}


class Request:
    """One request on its way in. Filters read it, attach to it what they found out, and may edit it."""

    __slots__ = (
        "_envelope", "_json", "betas", "body", "bulky", "configured", "edited", "endpoint", "first", "headers", "identity", "journalled",
        "method", "needs", "own", "passed", "path", "patience", "provider", "record", "retrying", "says", "set_headers", "slot", "targets",
        "unavailable", "vouched",
    )  # fmt: skip

    def __init__(self, method: str, path: str, headers: dict[str, str], endpoint: Endpoint, record: Record, provider: str = "") -> None:
        self.method = method
        self.path = path
        """With the query, and without the name of a provider that it began with."""
        self.provider = provider or headers.get(PROVIDER_HEADER, "")
        """The one that the client wants to be asked, by its path or a header; empty where it names none."""
        self.headers = headers
        """As the client sent them, names in lower case; repeated ones joined by a comma. Read-only: see `set_headers`."""
        self.endpoint = endpoint
        self.record = record
        """What the ledger will say of this request; filters fill in what they know."""
        self.journalled = False
        """The record is on disk: the second witness, Envoy's log, need not hear of it any more."""
        self.own: OwnKey | None = None
        """The caller's own key for a provider, in place of ours."""
        self.vouched: Mapping[str, Any] = _UNVOUCHED
        """What Envoy has found in tokens that it has checked, by the name that it was told to give it."""
        self.body = b""
        """Empty before the body was read, and always for `raw`."""
        self.bulky = False
        """To decode the body would hold other requests up, see `aside`."""
        self.needs: frozenset[str] | None = None
        """What a bulky body needs, if that was found out aside: see `needs.py`."""
        self.identity = Identity()
        self.targets: tuple[Target, ...] = ()
        """Where it may go, in order; set by the filter that routes."""
        self.configured: tuple[Target, ...] = ()
        """The same as the configuration has them, where a strategy has put them into another order; else empty."""
        self.first: Target | None = None
        """Who was to be asked first, where that one is passed over for now, or asked last; else None."""
        self.slot = b""
        """The ticket for the slots of the first target, where that is bounded and others may be asked as well."""
        self.retrying: Retrying | None = None
        """What follows failed attempts; None: Envoy asks the next target, and that is all."""
        self.passed: tuple[Target, ...] = ()
        """Those that are passed over for now, because they fail or have asked to be left alone."""
        self.unavailable: Reject | None = None
        """What it is refused with if nobody answers it here: all its targets are passed over."""
        self.patience: Mapping[Target, tuple[Patience, ...]] = _NONE
        """How long to wait for some of the targets, where their model says so."""
        self.set_headers: dict[str, str | None] = {}
        """Changes to what the provider is sent: a value sets the header, None takes it off."""
        self.betas = ""
        """The client's header `anthropic-beta`, where a part of it stood in the body; as a header it would, it goes to providers of the
        client's dialect only."""
        self.says: dict[str, Any] = {}
        """What a translated answer says of itself beside what it repeats of the request: its `id`, above all, where it is ours to give."""
        self._envelope: Envelope | None = None
        self._json: dict[str, Any] | None = None
        self.edited = False
        """A filter has changed the decoded body, and it is not encoded again yet."""

    @property
    def envelope(self) -> Envelope:
        """The few members, or fields, that the gate itself reads. Raises `Reject` 400 when the body is not JSON, or no form where one is
        due, or a member has the wrong type.
        """
        if self._envelope is None:
            form = self.endpoint.kind == "form"
            self._envelope = open_form(self.body, self.headers.get("content-type", "")) if form else open_envelope(self.body)
        return self._envelope

    @property
    def model(self) -> str:
        """The name of the model that is asked for, in the body or in the path; empty where there is none. Raises as `envelope` does."""
        return self.endpoint.model or (self._envelope or self.envelope).model or ""

    def name(self, model: str) -> None:
        """Makes `model` the one that the body asks for. Raises as `envelope` does."""
        if self.envelope.model != model:
            if self.endpoint.kind == "form":
                self.body = set_model(self.body, self.headers.get("content-type", ""), model)
            else:
                self.body = set_member(self.body, "model", msgspec.json.encode(model))
            self._envelope = None

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed. Raises as `envelope` does."""
        said = (self._envelope or self.envelope).stream
        return bool(self.endpoint.stream if said is None or self.endpoint.model else said)

    @property
    def json(self) -> dict[str, Any]:
        """The whole body, decoded once on its way in. Read-only: see `edit`. Only where `Endpoint.json`."""
        if self._json is None:
            self._json, self._envelope = open_document(self.body)
        return self._json

    def edit(self) -> dict[str, Any]:
        """The decoded body, to be changed in place; marks the request as changed, so that it is encoded again."""
        self.edited = True
        return self.json

    def replace(self, body: bytes) -> None:
        """Makes `body`, which is JSON, the one that goes on: for whoever changes it without decoding it."""
        self.body, self.bulky, self.edited = body, is_bulky(body), False
        self._envelope = self._json = None

    def settle(self) -> None:
        """Encodes the body again if a filter edited it."""
        if self.edited:
            self.body, self.edited, self._envelope = msgspec.json.encode(self._json), False, None

    def rest(self) -> None:
        """Lets go of the decoded body, which takes a multiple of its bytes, while an answer is on its way: who asks again decodes again."""
        self._json = None


Origin = Literal["provider", "cache", "gateway", "envoy"]


class Response:
    """One response on its way out: its head, and what is known of it. The body passes by as events."""

    __slots__ = (
        "answered", "attempts", "body", "ended", "estimated", "finished", "headers", "origin", "reason", "status", "stream", "target",
        "tried", "usage",
    )  # fmt: skip

    def __init__(
        self, status: int, headers: dict[str, str | None], body: bytes = b"", *, origin: Origin = "gateway", stream: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        """All headers of an answer that we make; of any other, its content-type and the changes to it. None takes a header off. Taps
        may change them in `start`."""
        self.body = body
        """The whole of it, for a response that a filter made itself; empty for one that passes by."""
        self.origin = origin
        """Who made it."""
        self.stream = stream
        """Server-sent events; otherwise the body is one event."""
        self.target: Target | None = None
        """Who answered."""
        self.attempts = 0
        """Attempts that it took."""
        self.tried: tuple[Tried, ...] = ()
        """Each of them, where there were several targets."""
        self.reason = ""
        """Why the client gets no answer of a provider's, as it counts for who was asked last: see `Tried.reason`. Empty where it does, or
        where the provider's own answer says why not."""
        self.usage: Usage | None = None
        """Tokens, as far as they are known by now."""
        self.answered = ""
        """The model that the provider named."""
        self.estimated = False
        """True: the provider never told its usage; `usage` is our guess from what was seen."""
        self.finished = False
        """True once the dialect's own terminal event, or the whole body, was seen."""
        self.ended: Literal["", "complete", "client_closed", "provider_broke"] = ""
        """How it ended; empty while it lasts."""
