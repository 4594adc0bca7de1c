"""The adapter: one session an attempt, at Envoy's upstream level, only for requests that have several targets.

It keeps no state between attempts: Envoy hands it the original body again, and the gate's `Call` as dynamic metadata. It holds the
response's head back until the answer has shown life - a stream its first event, any other body its end - so that what dies before is
still retried with the next target (tried on Envoy 1.40, docs/envoy.md). A reply to a piece of the body may never come before the reply to
the head, nor trailers before all pieces are answered; so what is held is told when its length or its JSON is complete, and beyond `_HELD`
bytes the head goes out, come what may.
"""

import logging
from collections.abc import Coroutine, Mapping
from types import MappingProxyType

import msgspec

from extproc import stillborn
from extproc.account import Account
from extproc.answering import TRAILERS_FIRST, Answering, BrokenAnswer, Retell, WholeTranslated
from extproc.answering.way import length_of
from extproc.aside import SMALL, Undone, is_bulky, paid_for
from extproc.attempt import Attempt
from extproc.bodies import invoked
from extproc.call import Call
from extproc.course import Course
from extproc.crossing import taken_off
from extproc.dialects import DIALECTS, INVOKE_COUNT
from extproc.drive import Waiting, begin
from extproc.engine import Engine
from extproc.envoy import names
from extproc.errors import INTERNAL, Fault, Reject
from extproc.retrying import STOP, UNSAID, Next
from extproc.transport.seam import Refused, Replies, Status
from extproc.values import BodyMode
from extproc.wire.incoming import Incoming, Part
from extproc.wire.outgoing import GO_ON, answer, aside, reply

_HELD = 256 * 1024
"""Bytes of an answer that are kept while it may still be asked of the next target."""

_REST = 1024 * 1024
"""Bytes of a stream's last words that the gate may be left to say."""
_ERRORS = 400

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_CLEARED, _AS_IT_CAME = reply(Part.RESPONSE_BODY, body=b""), GO_ON[Part.RESPONSE_BODY]

_log = logging.getLogger(__name__)
_decode_call = msgspec.json.Decoder(Call).decode


class AdapterSession:
    """One attempt, from the request that Envoy is about to send to the end of its answer."""

    __slots__ = (
        "_account", "_answering", "_attempt", "_call", "_course", "_done", "_engine", "_given_up", "_headers", "_held", "_left", "_out",
        "_owed", "_pause", "_released",
    )  # fmt: skip

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._account = Account(engine)
        self._call: Call | None = None
        # Begun by the head of the request and of the response, which Envoy sends before anything that needs them.
        self._course: Course | None = None
        self._attempt: Attempt
        self._answering: Answering
        self._headers: dict[str, str] = {}
        self._owed = 0
        """Pieces of the body that have come and are not answered."""
        self._done = False
        """All of the answer has come, if not its end: what still comes is none of it."""
        self._held = 0
        """Bytes of the body that came before its head was let go."""
        self._left = -1
        """Bytes to come of a body that has its length told; -1: nobody knows."""
        self._out: list[bytes] = []
        self._released = False
        self._given_up: BrokenAnswer | None = None
        """Why the answer cannot go on, which has been told: with the next piece it is broken off."""
        self._pause = 0.0
        """Seconds that what is to be said now has to wait."""

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        """One message from Envoy."""
        incoming = Incoming(message)
        try:
            if incoming.part is Part.RESPONSE_BODY and not incoming.end:
                incoming.end = self._completes(incoming.body)
            if (work := self._work(incoming)) is not None:
                return begin(self._after(work, incoming))
            replies = self._step(incoming)
            return begin(self._later(replies)) if self._pause or self._wants else replies
        except Exception as error:  # noqa: BLE001 - see `_failed`
            return self._failed(error, incoming.part)

    @property
    def _wants(self) -> bool:
        """It needs slots before it begins."""
        return self._course is not None and bool(self._course.wants)

    def _work(self, incoming: Incoming) -> Coroutine[None, None, None] | None:
        """What is to be done aside before this message is: with a bulky body, or the end of a bulky answer that is no stream."""
        if incoming.part is Part.REQUEST_BODY and (is_bulky(incoming.body) or self._hides(incoming.body)):
            return self._rewrite(incoming.body)
        if incoming.part >= Part.RESPONSE_BODY and incoming.end and not self._done and type(self._answering) is WholeTranslated:
            job = self._answering.job(incoming.body)
            return self._retell(self._answering, *job) if job is not None else None
        if incoming.part is Part.RESPONSE_HEADERS and (course := self._course) is not None and course.looks:
            return course.look() if int(incoming.headers().get(":status", "0")) >= _ERRORS else None
        return None

    def _hides(self, body: bytes) -> bool:
        """Whether a body is bulky, though that is not to be seen from outside."""
        return len(body) > SMALL and self._call is not None and self._call.kind == INVOKE_COUNT and is_bulky(invoked(body))

    async def _rewrite(self, body: bytes) -> None:
        if (job := self._attempt.job(body)) is not None:
            self._attempt.take(await self._engine.aside.work(job, body, self._attempt.call.lane))

    async def _retell(self, answering: WholeTranslated, job: Retell, whole: bytes) -> None:
        answering.take(await paid_for(self._engine.aside, job, whole, self._attempt.call.lane))

    async def _later(self, replies: Replies) -> Replies:
        pause, self._pause = self._pause, 0.0
        if pause:
            await self._engine.pause(pause)
        if (course := self._course) is not None and course.wants:
            try:
                await course.hold()
            except Reject as reject:
                return self._refuse(reject.fault, dict(reject.headers))
        return replies

    async def _after(self, work: Coroutine[None, None, None], incoming: Incoming) -> Replies:
        try:
            await work
            return await self._later(self._step(incoming))
        except Exception as error:  # noqa: BLE001 - see `_failed`
            return self._failed(error, incoming.part)

    def _step(self, incoming: Incoming) -> Replies:
        match incoming.part:
            case Part.REQUEST_HEADERS:
                return self._request_headers(incoming)
            case Part.REQUEST_BODY:
                return [self._request(incoming.part, incoming.body)]
            case Part.RESPONSE_HEADERS:
                return self._response_headers(incoming)
            case Part.RESPONSE_BODY:
                return self._response_body(incoming)
            case Part.RESPONSE_TRAILERS:
                return self._response_trailers(incoming)
        return [GO_ON[incoming.part]]

    def _failed(self, error: Exception, part: Part) -> Replies:
        """What Envoy is told of an error. Raises it where the answer's head has gone out: then it can only be broken off."""
        name = self._call.called if self._call else "?"
        if isinstance(error, Reject):
            return self._refuse(error.fault, dict(error.headers))
        if isinstance(error, BrokenAnswer):
            return self._unusable(error, part)
        if isinstance(error, Undone):
            _log.warning("request %s: %s", name, error)
            fault = error.fault
        else:
            # A bug of ours: told once, and nothing goes on with a request that is half made.
            _log.error("request %s failed in an attempt", name, exc_info=error)
            fault = INTERNAL
        if part >= Part.RESPONSE_BODY and self._released:
            self._account.drop()
            raise error
        return self._refuse(fault)

    def _unusable(self, error: BrokenAnswer, part: Part) -> Replies:
        """The provider's answer is none."""
        if error is not self._given_up:
            _log.warning("request %s: %s", self._call.called if self._call else "?", error)
        fault = Fault(502, "bad_provider_answer", f"{error}")
        if self._released:
            return self._cut_short(error, fault, part)
        if part < Part.RESPONSE_BODY:
            return self._refuse(fault)
        # Its provider's fault, so another one is asked: a reply of ours would be the last word.
        told = self._fail(self._attempt.failed(fault))
        return told if part is Part.RESPONSE_BODY else [*told, GO_ON[part]]

    def _cut_short(self, error: BrokenAnswer, fault: Fault, part: Part) -> Replies:
        """The same of one whose head has gone."""
        self._account.break_off(self._attempt, self._answering, fault.code)
        if self._given_up is None and part is Part.RESPONSE_BODY and not self._done:
            return self._give_up(error, fault)
        # Envoy hands it to the gate, which tells by it whose fault this is (`blame`).
        raise Refused(Status.INTERNAL, names.UNUSABLE) from error

    def _give_up(self, error: BrokenAnswer, fault: Fault) -> Replies:
        """Tells whose fault it is before the answer is broken off: afterwards Envoy would know of a worker that failed, and no more."""
        self._given_up = error
        answering = self._answering
        events = answering.break_off(fault, self._call.id if self._call else "")
        answering.error = fault.code
        said = self._say(b"".join(events))
        said[-1] += aside({names.USE_NAMESPACE: self._account.use(self._attempt, answering)})
        return said

    def close(self) -> None:
        """Envoy has closed the stream, at the end or because the attempt failed: nothing is kept."""
        if (attempt := getattr(self, "_attempt", None)) is not None:
            attempt.end()
        if self._account.tried is not None:
            self._account.stop(self._attempt, self._answering)
        if self._course is not None:
            self._course.end()

    def _refuse(self, fault: Fault, headers: Mapping[str, str] = _NO_HEADERS) -> Replies:
        dialect = DIALECTS[self._call.dialect if self._call else "openai"]
        body = msgspec.json.encode(dialect.write_error(fault, self._call.id if self._call else ""))
        metadata = {names.USE_NAMESPACE: self._account.refused(fault.code)}
        details = names.DETAILS_PREFIX + fault.code
        return [answer(fault.status, {"content-type": "application/json", **headers}, body, details=details, metadata=metadata)]

    # The request.

    def _request_headers(self, incoming: Incoming) -> Replies:
        self._headers = incoming.headers()
        self._account.cluster = cluster = str(incoming.attribute(names.CLUSTER_ATTRIBUTE) or "")
        self._account.number = number = int(incoming.attribute(names.ATTEMPT_ATTRIBUTE) or 0)
        self._call = call = _decode_call(incoming.metadata(names.NAMESPACE, names.CALL))
        snapshot = self._engine.find(call.generation)
        # Attempts go down the list of targets, one each; the cluster says whether Envoy and we agree on that.
        chained = cluster.startswith(names.CHAIN)
        # In a chain Envoy chooses by itself, and one that has no address is not among them.
        at = int(incoming.attribute(names.AT_ATTRIBUTE) or 0) + 1 if chained else max(number, 1)
        self._course = course = Course(self._engine, call, snapshot, number, at)
        target = course.target
        upstream = snapshot.upstreams.get(target.provider)
        if upstream is None or (upstream.cluster != cluster and not chained):
            raise LookupError(f"attempt {number} went to {cluster!r}, where {target.provider!r} was due")
        self._pause = course.begin(incoming.metadata(names.NAMESPACE, names.JUDGED), incoming.metadata(names.NAMESPACE, names.HANDED))
        self._attempt = Attempt(call, target, upstream, snapshot.config.limits.response_body, at)
        return [self._request(incoming.part, b"")] if incoming.end else [GO_ON[incoming.part]]

    def _request(self, part: Part, body: bytes) -> bytes:
        attempt = self._attempt
        self._engine.leftovers.passed(len(body))
        outgoing = attempt.outgoing(self._headers, body)
        return reply(part, headers=outgoing.headers, remove=outgoing.remove, body=outgoing.body if part is Part.REQUEST_BODY else None)

    # The answer.

    def _response_headers(self, incoming: Incoming) -> Replies:
        attempt = self._attempt
        self._headers = incoming.headers()
        self._answering = attempt.answering(int(self._headers.get(":status", "0")), self._headers)
        if incoming.end:
            # No body can be given to a head alone here; the gate sees to that, with an error's.
            self._answering, unsaid = stillborn.alone(attempt, self._answering, another=self._another)
            if self._answering.status >= _ERRORS:
                self._account.unsaid = unsaid.decode("utf-8", "replace")
        elif self._answering.at_once and self._goes_on:
            return self._fail(self._answering)
        self._left = length_of(self._headers) or -1
        if self._answering.mode == BodyMode.NONE:
            return self._release(incoming.end)
        return self._release(True) if incoming.end else []

    def _completes(self, chunk: bytes) -> bool:
        """Whether all has come with this piece, though it is not told as the last one. Where trailers follow none is, and they are told
        of when all pieces are answered: too late for what is held. Without them, the empty message behind it may come too late to be told.
        """
        if self._done:
            return False
        if self._left >= 0:
            self._left = max(self._left - len(chunk), 0)
            return not self._left
        answering = self._answering
        return answering.mode is not BodyMode.NONE and not answering.stream and answering.completes(chunk)

    def _response_body(self, incoming: Incoming) -> Replies:
        if self._given_up is not None:
            raise self._given_up
        answering, chunk, end = self._answering, incoming.body, incoming.end
        self._owed += 1
        if self._done:
            # What unread bytes have beyond their length is theirs all the same; an empty end is as it came.
            return self._say(chunk if answering.mode is BodyMode.NONE else b"", chunk)
        self._done = end
        events = answering.feed(chunk, end)
        if self._released:
            return self._pass(incoming.part, chunk, events, end)
        self._held += len(chunk)
        self._out += events
        if (failed := self._stillborn(end)) is not None:
            return self._fail(failed)
        if end or (answering.stream and answering.begun) or self._held > _HELD:
            return self._release(end)
        return []

    def _response_trailers(self, incoming: Incoming) -> Replies:
        """Trailers are the end of a body of which no piece was told as the last. Nothing can be added to it any more."""
        if self._given_up is not None:
            raise self._given_up
        if self._done:
            return [GO_ON[incoming.part]]
        self._done, events = True, self._answering.feed(b"", True)
        if self._released:
            return self._pass(incoming.part, b"", events, end=True)
        # There was no piece at all.
        self._out += events
        failed = self._stillborn(end=True)
        return [*(self._release(end=True) if failed is None else self._fail(failed)), GO_ON[incoming.part]]

    def _stillborn(self, end: bool) -> Answering | None:
        return stillborn.as_far(self._attempt, self._answering, end=end, another=self._another)

    @property
    def _another(self) -> bool:
        """There is another target to ask."""
        return self._call is not None and self._course is not None and self._course.at < len(self._call.targets)

    @property
    def _goes_on(self) -> bool:
        """Envoy asks another target after any server's error: nothing is set, or bounded, that may have it stop."""
        call, course = self._call, self._course
        return self._another and call is not None and call.retrying is None and not call.keys and course is not None and not course.looks

    def _fail(self, answering: Answering) -> Replies:
        """What is no answer after all, told as the error that it is: Envoy asks the next target, or passes it on."""
        before, self._answering, self._done = self._answering, answering, True
        answering.usage, answering.answered, answering.amount = before.usage, before.answered, before.amount
        self._out = answering.feed(b"", True)
        return self._release(True)

    def _pass(self, part: Part, chunk: bytes, events: list[bytes], end: bool) -> Replies:
        """A piece of an answer whose head has gone."""
        answering = self._answering
        if not answering.stream and answering.rewrites:
            # It was too long to be held back; its pieces are kept until the whole is known.
            self._out += events
            events, self._out = (self._out, []) if end else ([], self._out)
            if answering.status != int(self._headers[":status"]) and end:
                raise BrokenAnswer("the provider sent no answer")
        if end:
            answering.check_end()
        out, rest = b"".join(events), b""
        if out and not self._owed:
            if not answering.stream or len(out) > _REST:
                raise BrokenAnswer(TRAILERS_FIRST)
            out, rest = b"", out
        if end:
            self._account.end(self._attempt, answering)
        said = self._say(out, chunk) or [GO_ON[part]]
        if use := self._account.use(self._attempt, answering, rest):
            said[-1] += aside({names.USE_NAMESPACE: use})
        return said

    def _say(self, out: bytes, came: bytes | None = None) -> Replies:
        """A reply to each piece that waits for one; the last of them says all that goes on. `came`: the only piece, if it is."""
        owed, self._owed = self._owed, 0
        if not owed:
            return []
        return [*[_CLEARED] * (owed - 1), _AS_IT_CAME if out == came else reply(Part.RESPONSE_BODY, body=out)]

    def _release(self, end: bool) -> Replies:
        """The head, and what there is of the body."""
        answering, attempt = self._answering, self._attempt
        headers, withheld = attempt.response_headers(self._headers)
        remove = withheld + answering.voids
        headers.update(answering.headers)
        out = b"".join(self._out) if end or answering.stream or not answering.rewrites else b""
        if out or end:
            self._out = []
        whole = end and not answering.stream and answering.mode != BodyMode.NONE
        if whole and self._owed:
            headers["content-length"] = str(len(out))
        elif answering.mode != BodyMode.NONE:
            remove += ("content-length",)
        told = self._account.head(attempt, answering, int(self._headers[":status"]), whole=end)
        status, following, more = self._judged(told)
        if following is not None and following.goes_on:
            self._pause, status = following.pause, (attempt.call.retrying or UNSAID).again
        elif following is not None:
            headers[STOP] = "true"
        headers[":status"] = str(status)
        # A provider may say it, too; and what we set is not taken off.
        headers = {name: value for name, value in headers.items() if self._headers.get(name) != value or name == STOP}
        remove = taken_off(tuple(self._headers), remove, tuple(headers))
        metadata = {names.USE_NAMESPACE: told | self._account.use(attempt, answering)}
        replies = [reply(Part.RESPONSE_HEADERS, headers=headers, remove=remove, metadata=metadata, more=more)]
        replies += self._say(out)
        self._headers[":status"] = str(status)
        self._released = True
        return replies

    def _judged(self, told: dict[str, str | bytes]) -> tuple[int, Next | None, bytes]:
        """What the answer means, what follows it, and metadata that say so, beside what is added to `told`."""
        course, tried, status = self._course, self._account.tried, self._answering.status
        if course is not None and tried is not None:
            course.heard(tried)
        following = course.following(tried, status) if course is not None and tried is not None and tried.failed else None
        if course is None or following is None:
            return status, None, b""
        use, more = course.told(following)
        told |= use
        return status, following, more
