"""An answer's way out: its head, its bytes, its end. The taps see it from last to first, and the ledger is told of it.

    answer ──► feed, or keep (`kept`) and catch_up ... ──► close ──► end
    respond, refuse ──► end: no provider is asked

A request may wait, a token may not: of what is done here only the end waits.
"""

import logging
import time
from collections.abc import Mapping, Sequence

import msgspec

from extproc.answering import BUFFERED_AT_MOST, DROPPED, Answering, BrokenAnswer, Retell, Retold, WholeTranslated, WholeUntouched
from extproc.answering.credential import FORBIDDEN, UNKNOWN
from extproc.attempt import Attempt
from extproc.call import Call
from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.envoy import names
from extproc.errors import Fault
from extproc.filter import Tap
from extproc.head import Edits, Head, attempted, made
from extproc.ledger.record import Record
from extproc.outcome import Asked, last_asked, of_only, tell
from extproc.relayed import Relayed
from extproc.retrying import STOP
from extproc.tally import forecast, tally
from extproc.tried import BROKEN_OFF, Tried
from extproc.upstream import Upstream
from extproc.use import Use
from extproc.values import BodyMode, Request, Response, Target

_log = logging.getLogger(__name__)

_ERRORS, _NO_ANSWER = 400, 502
# Looking a member up in an enumeration costs as much as a call.
_NONE, _STREAMED, _BUFFERED = BodyMode.NONE, BodyMode.STREAMED, BodyMode.BUFFERED


class Delivery:
    """One answer, whoever gives it, from its head to its last byte."""

    __slots__ = (
        "_asked", "_attempt", "_bare", "_following", "_held", "_left", "_started", "_status", "_upstreams", "_waits",
        "answering", "attempts", "call", "came", "cluster", "cut", "first", "keeps", "kept", "over", "reached", "relayed", "request",
        "response", "several", "taps", "whole",
    )  # fmt: skip

    def __init__(self, request: Request, upstreams: Mapping[str, Upstream], started: float) -> None:
        """`started`: when the request did, by `time.perf_counter`."""
        self.request = request
        self._upstreams = upstreams
        self._started = started
        self.reached = started
        """When all of the request had come."""
        self.response: Response | None = None
        self.call: Call | None = None
        """What those are told who are to answer; None until somebody is."""
        self._attempt: Attempt | None = None
        self.several = False
        """The adapter makes the attempts."""
        self.answering: Answering | None = None
        """How a provider's answer is read."""
        self._asked = 0.0
        """When the request went on, by `time.perf_counter`."""
        self.first = 0.0
        """Seconds from then to the answer's head."""
        self._status = 0
        """What the answer's head said."""
        self.taps: list[Tap] = []
        """In the order of their filters."""
        self._following: list[Tap] = []
        self.cluster = ""
        self.attempts = 0
        self._held: list[bytes] | None = None
        self.kept: list[bytes] = []
        """Small pieces of a stream, which have gone to the client as they came, to be read later; see `catch_up`."""
        self.keeps = False
        """Pieces of the answer that may wait (`Answering.may_wait`) may be put to those that are `kept`."""
        self.whole = False
        """The answer waits until all of it has come: a piece may be the last one though it is not told so (`completes`), and that may be
        offered to `job`.
        """
        self._left = -1
        self.came = 0
        """Bytes that have been read."""
        self.cut: Tried | None = None
        """What came of the attempt of several whose answer was ended here (`ending`)."""
        self._waits = False
        """Nothing of the answer is told before its end, and nobody has said how long it is."""
        self._bare = False
        self.relayed = False
        """The attempt runs in the adapter, and tells of it aside."""
        self.over = False
        """The taps have been told of the end."""

    # Answers that no provider is asked for.

    def refuse(self, fault: Fault, headers: Mapping[str, str] | None = None) -> Response:
        """The fault as an answer in the client's dialect."""
        dialect = DIALECTS[self.request.endpoint.dialect]
        body = msgspec.json.encode(dialect.write_error(fault, self.request.record.id))
        self.request.record.error = fault.code
        return self.respond(Response(fault.status, {"content-type": "application/json", **(headers or {})}, body))

    def respond(self, response: Response) -> Response:
        """An answer that no provider is asked for: it passes the taps at once."""
        self._name(response)
        self._follow(response, time.perf_counter())
        events = split(DIALECTS[self.request.endpoint.dialect].framing, response.body) if response.stream else [response.body]
        response.body = b"".join(self.passed(events))
        response.finished, response.ended = True, "complete"
        self.request.record.bytes_out = len(response.body)
        return response

    # Answers of providers, and of Envoy.

    def expect(self, call: Call, attempt: Attempt | None) -> None:
        """The request goes on. `attempt`: the only one; None where the adapter makes them."""
        self.call, self._attempt, self.several = call, attempt, attempt is None
        self._asked = time.perf_counter()

    def answer(
        self, headers: Mapping[str, str], *, local: str, cluster: str, attempts: int, end: bool = False,
        tried: tuple[Tried, ...] = (), reason: str = "",
    ) -> Head:  # fmt: skip
        """The head of an answer. `local` is Envoy's reason where the answer is one of its own, and empty for a provider's. `end`: there
        is nothing but the head, see `fill`. `tried`: all attempts, where there were several targets. `reason`: see `Response.reason`.
        """
        self._bare = end
        self._status = status = int(headers.get(":status", "0"))
        now = time.perf_counter()
        self.first = now - self._asked
        self.cluster, self.attempts = cluster, attempts
        set_headers: dict[str, str] = {}
        remove: tuple[str, ...] = ()
        answering: Answering | None = None
        if local or self.call is None:
            response = Response(status, {}, origin="envoy")
            response.reason = reason or local
            self.request.record.error = local or "local_reply"
            mode = _NONE
            if local == names.NO_UPGRADE and self._attempt is not None:
                # Its head is the provider's, and only its body is Envoy's.
                set_headers, remove = self._attempt.response_headers(headers)
                if status < _ERRORS or status in (UNKNOWN, FORBIDDEN):
                    # A client would follow a redirect; and the key that is refused is ours.
                    response.status = _NO_ANSWER
        else:
            answering, (set_headers, remove) = self._read(self.call, status, headers)
            self.answering, mode = answering, answering.mode
            response = Response(answering.status, {}, origin="provider", stream=answering.stream)
            if content_type := set_headers.get("content-type", headers.get("content-type")):
                response.headers["content-type"] = content_type
            if lost := set_headers.get(DROPPED) or (self.relayed and headers.get(DROPPED)):
                response.headers[DROPPED] = lost
            length = headers.get("content-length", "")
            self._left = int(length) if length.isascii() and length.isdigit() else -1
            if type(answering) is WholeUntouched and (end or 0 <= self._left <= BUFFERED_AT_MOST):
                # The head waits for the body, which may be an error.
                answering.mode = mode = _BUFFERED
        if tried:
            tell(tried, response, self.request.record)
        if "request-id" not in headers or "request-id" in remove:
            self._name(response)
        # Of the last one it may have turned out here that it cannot be asked.
        unasked = bool(tried) and not tried[-1].asked
        response.attempts = attempts - unasked
        # Envoy may have refused it before anybody was asked.
        response.target = (last_asked(tried) if unasked else self._target(tried)) if attempts or not local else None
        wanted_whole = self._follow(response, now)
        if answering is not None:
            if wanted_whole and mode is _STREAMED and not response.stream:
                self._held = []
            if answering.rewrites or response.stream or self._held is not None:
                remove += ("content-length",)
            waits = not response.stream and (answering.rewrites or self._held is not None)
            self._waits = waits and mode is _STREAMED and self._left < 0
            self.whole = waits or mode >= _BUFFERED
        return made(headers, status, response, mode, (set_headers, remove))

    def _read(self, call: Call, status: int, headers: Mapping[str, str]) -> tuple[Answering, Edits]:
        """How a provider's answer is read, and what its head says to the attempt."""
        attempt = self._attempt
        if attempt is None:
            self.relayed = True
            return Relayed(status, headers, DIALECTS[call.dialect], raw=call.kind == "raw"), ({}, (STOP,) if STOP in headers else ())
        answering = attempt.answering(status, headers)
        return answering, attempted(attempt, answering, headers, self.request)

    def _target(self, tried: Sequence[Tried] = ()) -> Target | None:
        """Who answered: the last of the attempts that are told of, or else the first of those that were to be asked."""
        target = Target(tried[-1].provider, tried[-1].model) if tried else next(iter(self.planned), None)
        if target is None or not self.cluster or self.cluster.startswith(names.CHAIN):
            return target
        upstream = self._upstreams.get(target.provider)
        return target if upstream is not None and upstream.cluster == self.cluster else None

    @property
    def planned(self) -> tuple[Target, ...]:
        """Who was to be asked, in their order."""
        return self.call.targets if self.call is not None else ()

    def tried(self) -> Tried | None:
        """What is to be told at the end of what came of an attempt: the only one, or the last of several, if its answer was ended here."""
        if self._attempt is None or self.response is None:
            return self.cut
        asked = Asked(self._status, self.first, time.perf_counter() - self._asked)
        return of_only(self._attempt, self.answering, self.response, self.request.record, asked)

    def tell(self, use: Use) -> None:
        """What the adapter says of the answer, aside."""
        if isinstance(self.answering, Relayed):
            self.answering.tell(use)

    @property
    def status(self) -> int:
        """What the client gets; reading the body may have changed it."""
        return self.answering.status if self.answering is not None else 0

    def job(self, chunk: bytes, end: bool) -> tuple[Retell, bytes] | None:
        """What can be done aside before `chunk` is fed, and given to `take`: the job, and the whole answer."""
        answering = self.answering
        last = end or 0 <= self._left <= len(chunk)
        return answering.job(chunk) if last and type(answering) is WholeTranslated else None

    def take(self, retold: Retold) -> None:
        """The job is done."""
        if type(self.answering) is WholeTranslated:
            self.answering.take(retold)

    @property
    def late(self) -> Mapping[str, str]:
        """Headers that the body decides, where the head waits for that."""
        return self.answering.headers if self.answering is not None else {}

    def catch_up(self) -> None:
        """Reads what was kept."""
        kept, self.kept = self.kept, []
        answering, response = self.answering, self.response
        if not kept or answering is None or response is None:
            return
        answering.feed_later(kept)
        response.answered, response.finished = answering.answered, answering.finished
        events = b"".join(kept)
        self.came += len(events)
        self.request.record.bytes_out += len(events)
        for tap in self._following:
            tap.events([events])

    def completes(self, chunk: bytes) -> bool:
        """Whether a JSON answer is whole with this piece: where trailers follow, none is told as the last one, and then it is too late."""
        return self._waits and self.answering is not None and self.answering.completes(chunk)

    def feed(self, chunk: bytes, end: bool) -> bytes:
        """The provider's bytes as the client gets them; the last of them close it. Raises `BrokenAnswer`."""
        answering, response = self.answering, self.response
        if answering is None or response is None:
            if end:
                self.close(whole=True)
            return chunk
        if response.ended:
            # What follows an answer that was whole is none of it.
            return b"" if self._waits else chunk
        if self.kept:
            self.catch_up()
        if self._left >= 0:
            # A client that has its content-length may hang up before the empty last message comes: the answer is whole already.
            self._left -= len(chunk)
            end = end or self._left <= 0
        if response.stream and not self.came:
            self.request.record.first_token = time.perf_counter() - self._started
        self.came += len(chunk)
        events = answering.feed(chunk, end)
        response.usage, response.answered, response.finished = answering.usage, answering.answered, answering.finished
        if answering.status != response.status:
            self._change_status(answering, response)
        if end and not answering.finished and answering.mode is _STREAMED:
            answering.check_end()
        if end and (lost := answering.headers.get(DROPPED)):
            response.headers[DROPPED] = lost
        if self._held is not None:
            self._held += events
            events = [b"".join(self._held)] if end else []
        if self._following:
            events = self.passed(events)
        # One event is joined without a copy.
        out = b"".join(events)
        if end:
            self.close(whole=True)
        self.keeps = answering.even and not end and self._left < 0 and all(tap.late for tap in self._following)
        self.request.record.bytes_out += len(out)
        return out

    def _change_status(self, answering: Answering, response: Response) -> None:
        """What the body says is not what the head said: possible where the head has not gone out."""
        if answering.mode < _BUFFERED and not self._bare:
            response.finished, response.ended = False, "provider_broke"
            raise BrokenAnswer(f"the provider {response.target.provider if response.target else ''} sent no answer")
        response.status = answering.status

    @property
    def lasted(self) -> float:
        """Seconds since the answer's head."""
        return time.perf_counter() - self._asked - self.first

    # What taps see.

    def _name(self, response: Response) -> None:
        """Some clients look for the request's id in a header of their own; `x-request-id`, for all, is Envoy's to set."""
        if header := DIALECTS[self.request.endpoint.dialect].id_header:
            response.headers[header] = self.request.record.id

    def _follow(self, response: Response, now: float) -> bool:
        """The taps see the head, which came at `now`. Whether one of them wants a body whole."""
        self.response, record = response, self.request.record
        record.first_byte = now - self._started
        # Less than nothing by now, if it stood in a line meanwhile.
        record.ours += (self._asked or now) - self.reached
        whole = False
        for tap in reversed(self.taps):
            tap.start(response)
            if not tap.passes:
                self._following.append(tap)
                whole = whole or tap.whole
        return whole

    def passed(self, events: list[bytes]) -> list[bytes]:
        """Events as the client gets them."""
        for tap in self._following:
            if not events:
                break
            events = tap.events(events)
        return events

    # The end.

    def close(self, whole: bool) -> None:
        """The last byte has passed (`whole`), or nobody listens any more. Settles what the taps and the ledger are told of it."""
        response = self.response
        if response is None:
            # Refused by Envoy before any answer of ours, or given up by the client while it waited.
            self.response = response = Response(0, {}, origin="envoy")
            response.target = self._target() if self.call is not None else None
        if response.ended:
            return
        if self.kept:
            self.catch_up_at_last()
        answering = self.answering
        if answering is not None and answering.mode != _NONE:
            response.finished = answering.finished
            # A client hangs up on the error that a provider's stream tells, and it is the provider's all the same.
            if not whole and not response.finished and not (response.stream and answering.error):
                response.ended = "client_closed"
            elif response.finished:
                response.ended = "complete"
            else:
                response.ended = "provider_broke"
                who = f"{response.target.provider}/{response.target.model}" if response.target is not None else "its provider"
                why = response.reason or answering.error or BROKEN_OFF
                _log.warning("request %s: the answer of %s broke off: %s", self.request.record.called, who, why)
        else:
            response.ended = "complete" if whole or response.status else "client_closed"

    def catch_up_at_last(self) -> None:
        """The same before the end, which comes in any case."""
        try:
            self.catch_up()
        except Exception:  # noqa: BLE001 - as in `end`: a bug of one filter, and what passed is metered all the same
            _log.exception("request %s: the last pieces of its answer", self.request.record.called)

    async def end(self) -> None:
        """Lets every tap finish. Call once, after `close`."""
        self.over = True
        self.settle()
        response = self.response
        assert response is not None
        for tap in reversed(self.taps):
            try:
                await tap.end(response)
            except Exception:  # noqa: BLE001 - a bug of one filter: the others, above all the one that meters, still have their end
                _log.exception("request %s: the end of %s failed", self.request.record.called, type(tap).__name__)

    def settle(self) -> Record:
        """The record, brought up to what is known now."""
        if self.response is None:
            # It goes on just now.
            return forecast(self.request, self._asked - self._started)
        return tally(self.request, self.response, self.answering, time.perf_counter() - self._started)
