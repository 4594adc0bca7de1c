"""The gate: one session a request, at Envoy's router level. It turns Envoy's messages into the steps of an `Exchange`, and back.

Its promises to Envoy (tried on 1.40, docs/envoy.md): the reply to the request headers always says how the rest is to be sent, for
by configuration Envoy sends no response at all to a gate that did not ask; a change of route needs `clear_route_cache` and at least one
header mutation; bodies of responses come as they arrive, but for errors never buffered beyond what they announce.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec

from extproc.answering import TRAILERS_FIRST, BrokenAnswer, Retell
from extproc.aside import Undone, paid_for
from extproc.blame import as_it_counts, reason_of, told_of_failure
from extproc.copied import MirrorIntake
from extproc.delivery import Delivery
from extproc.dialects import DIALECTS
from extproc.drive import Waiting, begin
from extproc.ending import broken, end, fill, forgo, unusable
from extproc.engine import Engine
from extproc.envoy import names
from extproc.errors import INTERNAL, Fault, Reject
from extproc.exchange import Exchange
from extproc.head import Head
from extproc.intake import Forward
from extproc.keeping import JOURNALLED, at_last, encode, record, take_use, who
from extproc.mirrored import decode
from extproc.pressure import BUSY
from extproc.streaming import Stream
from extproc.transport.seam import Replies, Speaker, unheard
from extproc.tried import Tried, attempts_told
from extproc.use import TELL_EVERY
from extproc.values import BodyMode, Response
from extproc.ways import WHOLE, milliseconds, way_of
from extproc.wire.encode import entry, space
from extproc.wire.incoming import Incoming, Part
from extproc.wire.outgoing import GO_ON, Metadata, answer, aside, reply

_BAD_REQUEST, _SERVER_ERRORS = 400, 500

_log = logging.getLogger(__name__)

# The commonest reply to request headers, made once a dialect: "send me the body whole, and show me the response".
_WANT_BODY = {
    dialect: reply(
        Part.REQUEST_HEADERS, metadata={names.NAMESPACE: {names.DIALECT: dialect}}, request_body=BodyMode.BUFFERED, response_headers=True
    )
    for dialect in DIALECTS
}


T = TypeVar("T")

_PASS = GO_ON[Part.RESPONSE_BODY]
_PASS_JOURNALLED = reply(Part.RESPONSE_BODY, metadata=JOURNALLED)

# Looking a member up in an enumeration costs as much as a call.
_REQUEST_HEADERS, _REQUEST_BODY = Part.REQUEST_HEADERS, Part.REQUEST_BODY
_RESPONSE_HEADERS, _RESPONSE_BODY, _RESPONSE_TRAILERS = Part.RESPONSE_HEADERS, Part.RESPONSE_BODY, Part.RESPONSE_TRAILERS
_UNREAD = BodyMode.NONE

_FRAMING = ("content-length", "transfer-encoding")
"""Headers that are about a provider's body."""

_PART = 1024 * 1024
"""Bytes from which on a body may be no more than what Envoy holds of it (its buffer's limit)."""


def _head(headers: tuple[tuple[str, str], ...], remove: tuple[str, ...], mode: BodyMode) -> bytes:
    """The reply to an answer's head."""
    return reply(_RESPONSE_HEADERS, headers=dict(headers), remove=remove, response_body=mode, response_headers=mode is not BodyMode.NONE)


_usual_head = lru_cache(maxsize=512)(_head)
"""The same for one target: nearly always the same is changed as of the answer before."""


class GateSession(Speaker):
    """One request, from its headers to the end of its answer."""

    __slots__ = ("_body_mode", "_ending", "_engine", "_exchange", "_stream", "_told", "counted")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._exchange: Exchange | None = None
        self._body_mode = _UNREAD
        self._stream: Stream | None = None
        """The answer, where it is a stream that goes on as it is said there."""
        self._told = 0.0
        """When Envoy was told of the record."""
        self._ending: Waiting[None] | None = None
        self.counted = False
        """See `pressure.Guest`."""
        self.say = unheard

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        """One message from Envoy."""
        if self._stream is not None:
            return self._stream.receive(message)
        incoming = Incoming(message)
        part = incoming.part
        if part is _REQUEST_BODY or part is _REQUEST_HEADERS:
            return begin(self._request(incoming))
        if (exchange := self._exchange) is not None:
            delivery = exchange.delivery
            if part is _RESPONSE_BODY:
                if delivery.whole:
                    return self._whole(delivery, incoming)
                return self._guarded(self._response_body, delivery, incoming)
            if part is _RESPONSE_HEADERS:
                return self._guarded(self._response_headers, delivery, incoming)
            if part is _RESPONSE_TRAILERS:
                return self._guarded(self._trailers, delivery, incoming)
        # Trailers of a request; or a reply of Envoy's own to a request that it never showed us.
        return [GO_ON[part]]

    def close(self) -> Waiting[None] | None:
        """Envoy has closed the stream."""
        if self._exchange is not None:
            pressure = self._engine.pressure
            pressure.guests.discard(self)
            if pressure.limit and self.counted:
                pressure.left(self._exchange.request.identity.tenant)
            delivery, stream = self._exchange.delivery, self._stream
            if not delivery.over:
                delivery.close(whole=False)
                self._end(delivery)
            if stream is not None:
                return stream.ending
        return self._ending

    @property
    def caller(self) -> str | None:
        """See `pressure.Guest`."""
        exchange = self._exchange
        if exchange is None or ((response := exchange.delivery.response) is not None and response.ended):
            return None
        return exchange.request.identity.tenant

    def _end(self, delivery: Delivery) -> None:
        """The end comes before the client has the last byte, so that what it asks next finds the answer kept and the usage written."""
        if self._stream is not None:
            self._stream.end()
        elif delivery.response is not None and delivery.response.ended and not delivery.over:
            self._ending = end(self._engine, delivery)

    @property
    def _begun(self) -> Exchange:
        """The exchange, which the first message has begun: by our configuration of Envoy that is the request's head."""
        if self._exchange is None:
            raise RuntimeError("a message came before the request's head")
        return self._exchange

    # Requests: filters may wait.

    async def _request(self, incoming: Incoming) -> Replies:
        try:
            if incoming.part is _REQUEST_HEADERS:
                return await self._request_headers(incoming)
            return await self._proceed(self._begun, incoming.part, incoming.body)
        except Exception:  # noqa: BLE001 - a bug of ours: told once, answered in the client's dialect, and nothing goes on
            return self._failed()

    async def _request_headers(self, incoming: Incoming) -> Replies:
        headers = incoming.headers()
        if names.MIRROR_HEADER in headers and incoming.attribute(names.FILTER_CHAIN_ATTRIBUTE) == names.MIRRORS:
            return await self._mirrored(headers)
        self._exchange = exchange = Exchange(self._engine.current, headers)
        if exchange.snapshot.vouches:
            exchange.request.vouched = incoming.structs(names.JWT_NAMESPACE)
        pressure = self._engine.pressure
        pressure.guests.add(self)
        refused = await exchange.intake.begin()
        if refused is None and pressure.limit:
            self.counted = pressure.admits(exchange.request.identity.tenant)
            if not self.counted:
                refused = exchange.delivery.refuse(BUSY, {"retry-after": str(pressure.again())})
        if refused is not None:
            return self._answer(exchange.delivery, refused)
        if incoming.end or not exchange.request.endpoint.buffered:
            return await self._proceed(exchange, incoming.part, b"")
        return [_WANT_BODY[exchange.request.endpoint.dialect]]

    async def _mirrored(self, headers: dict[str, str]) -> Replies:
        """A copy of a request: no guest, for nobody waits for its answer."""
        told = decode(headers[names.MIRROR_HEADER])
        self._exchange = exchange = Exchange(self._engine.find(told.generation), headers)
        exchange.intake = MirrorIntake(exchange.snapshot, exchange.request, exchange.delivery, told)
        refused = await exchange.intake.begin()
        if refused is None and self._engine.pressure.limit:
            # Another worker may have sent it, which keeps up; here, clients come first.
            refused = exchange.delivery.refuse(BUSY)
        if refused is not None:
            return self._answer(exchange.delivery, refused)
        return [_WANT_BODY[exchange.request.endpoint.dialect]]

    async def _proceed(self, exchange: Exchange, part: Part, body: bytes) -> Replies:
        intake, delivery = exchange.intake, exchange.delivery
        answered = await intake.proceed(body)
        if answered is not None:
            return self._answer(delivery, answered)
        try:
            if exchange.request.bulky:
                await intake.prepare()
            forward = intake.forward()
        except Reject as reject:
            return self._answer(delivery, delivery.refuse(reject.fault, dict(reject.headers)))
        return [self._forward(exchange, part, forward)]

    def _forward(self, exchange: Exchange, part: Part, forward: Forward) -> bytes:
        """On to Envoy's router: where to, in which order, how patiently, and what is changed of the request."""
        delivery = exchange.delivery
        call, outgoing = forward.call, forward.outgoing
        upgrade = "upgrade" in delivery.request.headers
        way = way_of(forward.clusters, forward.timeouts, call.dialect, forward.more, forward.chain, upgrade, call.stream)
        headers = outgoing.headers | way.headers
        if forward.whole and not upgrade:
            # Not a part of the way, of which there would be as many as clients have numbers.
            headers[WHOLE] = milliseconds(forward.whole + names.BACKSTOP * call.stream)
        own = way.own + entry(names.RECORD, encode(delivery.settle()))
        if exchange.snapshot.told:
            own += b"".join([entry(name, text) for name, text in who(delivery.request).items()])
        if forward.more is not None:
            own += entry(names.CALL, encode(call))
        return reply(
            part,
            headers=headers,
            remove=outgoing.remove,
            body=outgoing.body if part is _REQUEST_BODY else None,
            more=space(names.NAMESPACE, own) + way.others,
            clear_route_cache=True,
            response_headers=part is _REQUEST_HEADERS,
        )

    def _answer(self, delivery: Delivery, response: Response) -> Replies:
        own: dict[str, str | bytes] = {names.DIALECT: delivery.request.endpoint.dialect, names.RECORD: encode(delivery.settle())}
        if self._begun.snapshot.told:
            own |= who(delivery.request)
        details = names.DETAILS_PREFIX + (delivery.request.record.error or delivery.request.record.cache or response.origin)
        headers = {name: value for name, value in response.headers.items() if value is not None}
        told = answer(response.status, headers, response.body, details=details, metadata={names.NAMESPACE: own})
        # Envoy may be slow to take what is in `told`; held twice it need not be.
        response.body = b""
        return [told]

    def _failed(self) -> Replies:
        exchange = self._exchange
        if exchange is None:
            _log.exception("a request could not even be read")
            return [answer(500, {"content-type": "text/plain"}, INTERNAL.message.encode(), details=names.DETAILS_PREFIX + INTERNAL.code)]
        _log.exception("request %s failed", exchange.request.record.called)
        return self._answer(exchange.delivery, exchange.delivery.refuse(INTERNAL))

    # Responses: nothing waits.

    def _guarded(self, step: Callable[[Delivery, T], bytes], delivery: Delivery, given: T) -> Replies:
        try:
            return [step(delivery, given)]
        except BrokenAnswer as error:
            return self._broken(delivery, str(error))
        except Exception:  # a bug of ours: told once; the response has begun, or its head cannot be made, so it is broken off
            _log.exception("request %s failed in its answer", delivery.request.record.called)
            raise

    def _broken(self, delivery: Delivery, why: str, ours: Fault | None = None) -> Replies:
        """`ours`: where the provider has nothing to do with it."""
        # Envoy answers with it where the head has not gone out yet, and breaks the response off where it has.
        fault = ours or unusable(delivery, why)
        body = broken(delivery, fault, ended="provider_broke" if ours is None else "complete")
        details = names.DETAILS_PREFIX + fault.code
        return [answer(fault.status, {"content-type": "application/json"}, body, details=details, metadata=record(delivery))]

    def _whole(self, delivery: Delivery, incoming: Incoming) -> Replies | Waiting[Replies]:
        """A piece of an answer that waits for its end, or all of it."""
        if not incoming.end:
            # Where trailers follow, no piece is told as the last one, nor is what Envoy holds until all is there.
            mode, body = self._body_mode, incoming.body
            incoming.end = delivery.completes(body) if mode < BodyMode.BUFFERED else mode is BodyMode.BUFFERED or len(body) < _PART
        if (job := delivery.job(incoming.body, incoming.end)) is not None:
            return begin(self._retold(delivery, incoming, *job))
        return self._guarded(self._response_body, delivery, incoming)

    async def _retold(self, delivery: Delivery, incoming: Incoming, job: Retell, whole: bytes) -> Replies:
        """The end of a bulky answer, which is no stream: it may wait."""
        try:
            delivery.take(await paid_for(self._engine.aside, job, whole, delivery.request.identity.lane))
        except Undone as undone:
            _log.warning("request %s: %s", delivery.request.record.called, undone)
            forgo(delivery, whole)
            return self._broken(delivery, str(undone), undone.fault)
        except Exception:  # as in `_guarded`
            _log.exception("request %s failed in its answer", delivery.request.record.called)
            raise
        return self._guarded(self._response_body, delivery, incoming)

    def _response_headers(self, delivery: Delivery, incoming: Incoming) -> bytes:
        told = incoming.attribute(names.DETAILS_ATTRIBUTE)
        # A platform may have no way to ask for it; whatever answers is taken for a provider's there.
        details = names.VIA_UPSTREAM if told is None else str(told)
        cluster = str(incoming.attribute(names.CLUSTER_ATTRIBUTE) or "")
        attempts = int(incoming.attribute(names.ATTEMPT_ATTRIBUTE) or 0)
        local = reason = ""
        if details != names.VIA_UPSTREAM:
            local = reason_of(details)
            reason = as_it_counts(delivery, local, details)
        seen = incoming.headers()
        tried: tuple[Tried, ...] = ()
        if delivery.several:
            tried = attempts_told(incoming.metadata_of(names.USE_NAMESPACE), delivery.planned, attempts, reason)
            for one in tried:
                # The adapter has seen nothing of it.
                if not one.status and one.asked:
                    self._engine.hear(msgspec.structs.replace(one, request=delivery.request.record.id))
        head = delivery.answer(seen, local=local, cluster=cluster, attempts=attempts, end=incoming.end, tried=tried, reason=reason)
        self._body_mode = head.mode
        if local and delivery.call is not None and delivery.response is not None and delivery.response.status >= _SERVER_ERRORS:
            _log.warning("request %s: %s", delivery.request.record.called, told_of_failure(delivery, local, details))
        if delivery.relayed:
            take_use(delivery, incoming)
        answering, mode = delivery.answering, head.mode
        # What is to be told may be known with the head.
        if (incoming.end or (answering is not None and answering.at_once)) and (body := fill(delivery)):
            return self._instead(delivery, seen, head, body)
        if answering is not None and answering.stream and mode is BodyMode.STREAMED and not incoming.end:
            mode = BodyMode.FULL_DUPLEX_STREAMED
            assert delivery.call is not None
            self._stream = Stream(self._engine, delivery, self._begun.intake.patience(delivery.call), self.say)
        reply = (_head if tried else _usual_head)(tuple(head.headers.items()), head.remove, mode)
        self._told = time.monotonic()
        # Of a single target Envoy has known from the start who answers, and the head says nothing else that it does not see itself.
        return reply + aside(record(delivery)) if delivery.relayed else reply

    def _instead(self, delivery: Delivery, seen: dict[str, str], head: Head, body: bytes) -> bytes:
        """An answer of ours in place of one without a body, or with one that nobody waits for; what may cross of its head stays."""
        kept = {name: value for name, value in seen.items() if name[0] != ":" and name not in _FRAMING and name not in head.remove}
        headers = {"content-type": "application/json", **kept, **head.headers, **delivery.late}
        headers.pop(":status", None)
        details = names.DETAILS_PREFIX + (delivery.settle().error or "no_body")
        return answer(delivery.status, headers, body, details=details, metadata=record(delivery))

    def _response_body(self, delivery: Delivery, incoming: Incoming) -> bytes:
        if delivery.relayed:
            take_use(delivery, incoming)
        response = delivery.response
        usage, status = (response.usage, response.status) if response is not None else (None, 0)
        body = incoming.body
        if not incoming.end and self._body_mode is BodyMode.BUFFERED_PARTIAL:
            raise BrokenAnswer("the provider sent an error, or JSON under another name, of more than a megabyte")
        out = delivery.feed(body, incoming.end)
        if response is None or response.ended:
            self._end(delivery)
        news = response is not None and response.usage is not usage
        metadata: Metadata | None = None
        if delivery.request.journalled:
            metadata = JOURNALLED
        elif news or time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            metadata = record(delivery)
        unchanged = out is body or out == body
        # Of an error, what its body says decides headers, too; a translated answer is never what it was.
        amended = not unchanged or status >= _BAD_REQUEST or (response is not None and response.status != status)
        if amended and self._body_mode >= BodyMode.BUFFERED:
            headers = {**delivery.late, "content-length": str(len(out)), ":status": str(delivery.status)}
            return reply(incoming.part, headers=headers, body=None if unchanged else out, metadata=metadata)
        if unchanged and metadata is None:
            return _PASS
        if unchanged and metadata is JOURNALLED:
            return _PASS_JOURNALLED
        return reply(incoming.part, body=None if unchanged else out, metadata=metadata)

    def _trailers(self, delivery: Delivery, incoming: Incoming) -> bytes:
        """Trailers are the end of a body of which no piece was told as the last. What they say is nobody's business here."""
        if delivery.response is None or delivery.response.ended:
            return GO_ON[incoming.part]
        if delivery.relayed:
            take_use(delivery, incoming)
        if delivery.feed(b"", True):
            # Envoy takes nothing more of the body.
            raise BrokenAnswer(TRAILERS_FIRST)
        self._end(delivery)
        return reply(incoming.part, metadata=at_last(delivery))
