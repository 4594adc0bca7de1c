"""An attempt: one request to one provider. It makes of the client's original request whatever that provider needs, and reads its answer.

The same code runs in the gate, for a request with one target, and in the adapter, once an attempt, for one with several. It keeps
nothing between attempts: all that it needs of the request is a `Call`, which the gate hands to the adapter as dynamic metadata.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from extproc import crossing
from extproc.answering import Answering, Terms, Told, choose, dropped
from extproc.call import Call
from extproc.deployments import with_model
from extproc.dialects import INVOKE_COUNT, INVOKED, betas, forms, heard, seals, splice, takes_messages, told_apart
from extproc.dialects.dialect import Apart, common, names_model
from extproc.dialects.hub import Extra
from extproc.dialects.quirks import Refit, addressed, resized
from extproc.errors import Fault, Reject
from extproc.inference import may_ask, misplaced
from extproc.live import Live, upgrade
from extproc.pool import Lease, Pool
from extproc.upstream import Portrait, Upstream, asked_with, portrait
from extproc.values import Target


class Outgoing(Struct, frozen=True):
    """What an attempt changes of the request as Envoy holds it."""

    headers: dict[str, str]
    """To set, pseudo-headers included."""
    remove: tuple[str, ...]
    body: bytes | None
    """None: the body stays as it is, to the byte."""


_BODILESS = ("raw", "live")
"""Kinds of request whose body passes us by."""
_AS_IT_IS = (*_BODILESS, "form")
"""Kinds of request whose body is never made anew."""

_UNREADABLE = {"raw": (), "live": ("sec-websocket-extensions",)}
"""What makes an answer unreadable, by the kind of request; of all others it is `accept-encoding`."""


class Rewritten(Struct, frozen=True, tag=True):
    """A request's body as a provider gets it, and what is known of it then."""

    body: bytes | None
    """None: as it was."""
    dropped: list[str]
    asked: Extra
    wanted: dict[str, str]


class Rewrite(Struct, frozen=True, tag=True):
    """The job to make the body that a provider gets, see `aside`."""

    call: Call
    target: Target
    upstream: Portrait

    def work(self, body: bytes) -> Rewritten:
        """Does it. Raises as `Attempt.outgoing` does."""
        attempt = Attempt(self.call, self.target, self.upstream.upstream(), 0)
        new_body = attempt.rewrite(body)
        return Rewritten(new_body, attempt.dropped, attempt.asked, attempt.wanted)


class Cut(NamedTuple):
    """What becomes of a request's headers at a provider. It depends on their names alone, and holds nothing but names."""

    passing: tuple[str, ...]
    """Those of the client's that go on, but for what is set."""
    without: tuple[str, ...]
    """What is not set, though by our rules or for this provider it would be."""
    void: tuple[str, ...]
    """What must not reach the provider of what Envoy holds."""


_cuts: dict[tuple[object, ...], Cut] = {}
"""By all names that a cut depends on. A client sends the same with each request."""
_CUTS = 512
"""Cuts that are remembered; then all of them are forgotten, and soon made again."""
_CONVERSED = ("chat", "count")
"""What is asked for with the body of a conversation."""
_COUNTED = ("count", INVOKE_COUNT)
"""What is asked for to have tokens counted."""


class Attempt:
    """One attempt at one target."""

    __slots__ = (
        "_ahead", "_client", "_kind", "_most", "_number", "_question", "asked", "call", "dropped", "lease", "same", "target", "upstream",
        "wanted",
    )  # fmt: skip

    def __init__(self, call: Call, target: Target, upstream: Upstream, most: int, number: int = 1) -> None:
        """`most`: bytes of the largest answer that is taken. `number`: of the attempt."""
        self.call = call
        self.target = target
        self.upstream = upstream = upstream.speaking(call.dialect, call.kind)
        self._most = most
        self._number = number
        self.lease: Lease | None = None
        """The key in use, where the provider has several. Whoever makes the attempt ends it."""
        own = call.sdk == upstream.quirks.sdk and (call.kind not in INVOKED or takes_messages(target.model))
        # What the provider speaks as well is one dialect to both of them, whatever its form.
        if own and call.dialect == upstream.dialect.name:
            self._client = heard(call.dialect, call.path, "")
        else:
            self._client = heard(call.dialect, call.path, call.kind, call.sdk)
        form = upstream.form(call.kind, target.model) if upstream.quirks.forms else None
        other = self._client is not upstream.dialect or form not in (None, call.kind)
        self.same = not (other and call.kind in self._client.operations)
        """The client's dialect is the provider's: nothing is translated."""
        self._kind = call.kind if self.same else form or common(call.kind)
        """What the provider is asked for."""
        self.asked: Extra = {}
        """See `Question.asked`."""
        self.dropped: list[str] = []
        """What the provider's dialect could not express."""
        self.wanted: dict[str, str] = {}
        """See `Question.headers`."""
        self._ahead: Rewritten | None = None
        self._question = b""
        """The body, where its tokens are to be counted: who cannot do that says so in its answer."""

    @property
    def _apart(self) -> Apart | None:
        """How the form of an SDK that the provider answers in is told to the client: the dialect is the same, and the SDK another."""
        sdk = self.upstream.quirks.sdk
        return told_apart(sdk) if sdk and self.same and self._kind == "chat" and self.call.sdk != sdk else None

    def _is_read(self, body: bytes) -> bool:
        """Whether a conversation in the provider's own dialect has something that is not for it (another maker's seals), or not in the form
        that it takes. Its client cannot know; the dialect's writer leaves it out, or says it in that form.
        """
        if self.call.kind not in _CONVERSED:
            return False
        return seals.packed(body) or ((apart := self._apart) is not None and apart.is_asked(body))

    def job(self, body: bytes) -> Rewrite | None:
        """What can be done aside before `outgoing`, and given to `take`; None if the body will stay as it is."""
        upstream, call = self.upstream, self.call
        named = self.target.model == call.model and not call.forces_usage and upstream.refit is None
        stays = call.kind in _AS_IT_IS or (self.same and named and not self._is_read(body))
        # Headers have nothing to do with it, and the gate's rules may set a credential.
        return None if stays else Rewrite(msgspec.structs.replace(call, headers={}, rules={}), self.target, portrait(upstream))

    def take(self, rewritten: Rewritten) -> None:
        """The job is done: `outgoing` will use it."""
        self._ahead = rewritten
        self.dropped, self.asked, self.wanted = rewritten.dropped, rewritten.asked, rewritten.wanted

    def outgoing(self, seen: Mapping[str, str], body: bytes, *, ruled: tuple[str, ...] | None = None) -> Outgoing:
        """The request for this provider. `seen` is what Envoy holds: what an earlier attempt made of it, perhaps, or for sure the
        original, if `ruled` says which names the gate's rules are about. `Call.headers` are not needed then.

        Raises `Reject` when the client's body cannot be read, or loses something that a strict client wants kept.
        """
        call = self.call
        if call.kind in _COUNTED:
            self._question = body
        new_body = self.rewrite(body, seen.get("content-type", "")) if call.kind not in _BODILESS else None
        if call.betas and self.same and betas.HEADER not in self.upstream.request.remove:
            self.wanted = {**self.wanted, betas.HEADER: call.betas}
        given = tuple(call.headers) if ruled is None else None
        key = (tuple(seen), given, ruled, tuple(call.rules), call.kind, self.same, new_body is None, self.upstream.names, *self.wanted)
        cut = _cuts.get(key)
        if cut is None:
            crossed = call.headers if ruled is None else crossing.those(tuple(seen), crossing.to_provider)
            cut = self._cut([name for name in crossed if name not in (ruled or ())], seen, body, new_body)
            if len(_cuts) >= _CUTS:
                _cuts.clear()
            _cuts[key] = cut
        own = self._own(cut.without, seen, body, new_body)
        if call.kind == "raw" and may_ask(seen.get(":method", ""), seen) and self.upstream.infers(own[":path"]):
            raise misplaced()
        void = cut.void
        if "upgrade" in seen:
            own.update(upgrade(seen))
            void = tuple(name for name in void if name not in own)
        if ruled is None:
            own = {name: value for name, value in call.headers.items() if name in cut.passing} | own
        return Outgoing({name: value for name, value in own.items() if seen.get(name) != value}, void, new_body)

    def _cut(self, given: Iterable[str], seen: Mapping[str, str], body: bytes, new_body: bytes | None) -> Cut:
        """What becomes of the headers, which depends on names alone. `given`: those of the client's that may cross at all."""
        call, upstream = self.call, self.upstream
        # What is read has to be readable.
        unread = _UNREADABLE.get(call.kind, ("accept-encoding",))
        removed = {*upstream.request.remove, *unread}
        passing = tuple(name for name in given if name not in removed and (self.same or crossing.to_other_provider(name)))
        # What the client says about its dialect's version goes before our default for it; a credential is never the client's.
        default = [name for name, _ in upstream.headers if name in passing and name not in call.rules]
        without = tuple(name for name in (*default, *removed) if name in self._base())
        own = self._own(without, seen, body, new_body)
        void = tuple(name for name in seen if name not in passing and name not in own and crossing.may_remove(name))
        return Cut(passing, without, void)

    def _base(self) -> dict[str, str]:
        base = {**dict(self.upstream.headers), **self.call.rules, "x-request-id": self.call.id}
        if (purse := self.upstream.purse) is not None:
            base["authorization"] = purse.bearer(self.upstream.token, self.upstream.name)
        elif (pool := self.upstream.pool) is not None:
            base[pool.header] = self._leased(pool).credential
        return base

    def _leased(self, pool: Pool) -> Lease:
        """The key of this attempt: another one than the provider had in those before it."""
        if self.lease is None:
            call, before, provider = self.call, self._number - 1, self.target.provider
            keys = call.keys[:before]
            had = [key for key, target in zip(keys, call.targets, strict=False) if target.provider == provider]
            wanted = call.keys[before] if before < len(call.keys) else ""
            self.lease = pool.lease(self.target.model, wanted, had, alone=len(call.targets) == 1)
        return self.lease

    @property
    def key(self) -> str:
        """The name of its key, where the provider has several."""
        return self.lease.name if self.lease is not None else ""

    def end(self) -> None:
        """The attempt is over, whatever came of it."""
        if self.lease is not None:
            self.lease.end()

    def _own(self, without: Iterable[str], seen: Mapping[str, str], body: bytes, new_body: bytes | None) -> dict[str, str]:
        """The headers that we set, whatever the client's say, but for those of an upgrade."""
        call, upstream = self.call, self.upstream
        own = self._base()
        for name in without:
            del own[name]
        for name, value in self.wanted.items():
            own[name] = f"{own[name]},{value}" if name in own else value
        own.update(upstream.request.set)
        own[":path"] = self._path()
        own[":authority"] = upstream.authority
        if not self.same:
            own["content-type"] = own["accept"] = "application/json"
        if new_body is not None and call.kind != "form":
            own["content-type"] = "application/json"
        if call.kind not in _BODILESS:
            own["content-length"] = str(len(body if new_body is None else new_body))
        elif "content-length" in seen:
            own["content-length"] = seen["content-length"]
        return own

    @property
    def root(self) -> str:
        """See `Dialect.root`; the client's."""
        return self._client.root

    def _path(self) -> str:
        """Where the provider is asked: what it calls the operation, or else the client's path."""
        call = self.call
        path = self.upstream.place(self._kind, self.target.model, stream=call.stream)
        if path is None and call.named:
            path = self.upstream.of_model(call.rest, self.target.model)
        if path is None:
            renamed = call.kind == "live" and call.named
            asked = with_model(call.path, self.target.model) if renamed else call.path
            return self.upstream.path(asked, self._client, self.target.model)
        return asked_with(path, call.path.partition("?")[2]) if self.same and self.upstream.quirks.query else path

    def rewrite(self, body: bytes, content_type: str = "") -> bytes | None:
        """The body that the provider gets; None where it stays as it is. Raises `Reject` as `outgoing` does."""
        if self._ahead is not None:
            return self._ahead.body
        call = self.call
        if not self.same:
            return self._translated(body)
        if call.kind == "form":
            return None if self.target.model == call.model else forms.set_model(body, content_type, self.target.model)
        if call.named and self.target.model != call.model and names_model(self._client.operations.get(call.kind)):
            return self._translated(body)
        changed = self._translated(body) if self._is_read(body) else body
        try:
            if self.target.model != call.model and (self.upstream.quirks.model_in_body or not self._names_model()):
                changed = splice.set_member(changed, "model", msgspec.json.encode(self.target.model))
            if call.forces_usage and self.upstream.quirks.stream_usage:
                changed = splice.include_usage(changed)
            if self.upstream.refit:
                changed = self._refitted(changed, self.upstream.refit)
            if call.kind == "embeddings" and self.upstream.quirks.vectors:
                changed = resized(changed, self.upstream.quirks.vectors)
        except ValueError as error:
            raise _malformed(error) from None
        return None if changed is body else changed

    def _refitted(self, body: bytes, refit: Refit) -> bytes:
        if self.call.kind == "count":
            return refit.counting(body)
        if self.call.kind != "chat":
            return body
        body = refit.conversation(body, self.dropped.append, named=self.upstream.names_model("chat"))
        self._check_strict()
        return body

    def _names_model(self) -> bool:
        """Whether the path that the provider is asked at names the model, and the body need not."""
        call = self.call
        return call.named if self.upstream.place(call.kind, "", stream=call.stream) is None else self.upstream.names_model(call.kind)

    def _translated(self, body: bytes) -> bytes:
        # The gate has looked at no more than a few members, so a wrong type deeper down is found here.
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error) from None
        call = self.call
        if call.named and type(document) is dict:
            document |= {"model": call.model, "stream": call.stream}
        elif call.stream and type(document) is dict and document.get("stream") is None:
            document["stream"] = True  # the habit of a path
        if call.betas and not self.same and type(document) is dict:
            document[betas.MEMBER] = call.betas.split(",")
        question = self._client.operations[call.kind].read_request(document)
        if (needs := question.needs) is not None and not self.same:
            raise Reject(needs.status, needs.code, needs.message, param=needs.param)
        if not self.same:
            question.check()
        upstream = self.upstream
        translated = upstream.dialect.operations[self._kind].write_request(question, self.target.model, upstream.quirks)
        if self._kind in _CONVERSED:
            translated = addressed(translated, upstream.quirks, named=upstream.names_model(self._kind))
        self.dropped, self.asked = list(dict.fromkeys(question.dropped)), question.remembered
        self.wanted = question.headers
        self._check_strict()
        return msgspec.json.encode(translated)

    def _check_strict(self) -> None:
        if self.dropped and self.call.strict:
            names = ", ".join(self.dropped)
            message = f"The provider that serves this model cannot express: {names}. Leave them out, or send no `x-headgate-strict`."
            raise Reject(400, "unsupported_fields", message)

    def answering(self, status: int, headers: Mapping[str, str]) -> Answering:
        """How the provider's answer is to be read, from its head."""
        if status == 101 and self.call.kind == "live":
            return Live(self._terms())
        return choose(status, headers, self._terms())

    def failed(self, fault: Fault) -> Answering:
        """The answer turned out to be this error."""
        return Told(self._terms(), fault)

    def _terms(self) -> Terms:
        call = self.call
        return Terms(
            client=self._client,
            provider=self.upstream.dialect,
            kind=call.kind,
            form=self._kind,
            provider_name=self.target.provider,
            key=self.key,
            request_id=call.id,
            mirror_of=call.mirror_of,
            same=self.same,
            raw=call.kind == "raw",
            include_usage=call.include_usage,
            hide_usage=call.forces_usage,
            asked={**self.asked, **call.says} if call.says else self.asked,
            most=self._most,
            model=self.target.model,
            id=call.says.get("id", ""),
            dropped=tuple(self.dropped),
            sdk=call.sdk,
            apart=self._apart,
            gives=call.gives,
            question=self._question,
            stream=call.stream,
        )

    def response_headers(self, seen: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """What to set and what to take off the provider's response headers before a client sees them."""
        edits = self.upstream.response
        headers = {**edits.set, **dropped(self.dropped)} if self.dropped else dict(edits.set)
        return headers, crossing.withheld(tuple(seen), self.same, seen.get(":status") == "101", edits.remove)


def _malformed(error: Exception) -> Reject:
    return Reject(400, "invalid_json", f"The request body is not valid JSON: {error}.")
