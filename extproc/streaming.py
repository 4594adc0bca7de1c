"""A provider's stream on its way through the gate, which may end it by itself.

Its pieces go on as they are said here, one for one. Those that need not be read at once are passed on at once and read together. When
nothing has come for too long, or the time for the whole is over, the clock has it ended: with an error of the client's dialect.
"""

import logging
import time
from collections.abc import Callable

from extproc.answering import BrokenAnswer
from extproc.blame import OVER, REASONS, SILENT, as_it_counts
from extproc.config.timeouts import Longest
from extproc.delivery import Delivery
from extproc.drive import Waiting
from extproc.ending import broken, cut, end, last_words, unusable
from extproc.engine import Engine
from extproc.envoy import names
from extproc.errors import GONE, Fault
from extproc.keeping import JOURNALLED, at_last, record, take_use
from extproc.transport.seam import Replies
from extproc.tried import OURS
from extproc.use import TELL_EVERY
from extproc.wire.incoming import Incoming, Part, piece
from extproc.wire.outgoing import BEFORE, GO_ON, answer, aside, last

TOGETHER = 32
"""Pieces of a stream that are read together: some 10 KB, as a rule. With more of them, each is hardly cheaper."""
FLOOD, FASTEST = 16 << 20, 1 << 20
"""Bytes of a stream that may come as fast as they like, and bytes a second that those after them may. What a worker does not keep up with,
Envoy holds for it without a bound, where streams go on as they are said.
"""
_FLOODS = "the provider sends a stream faster than it can be passed on"

_FORGET = aside(JOURNALLED)
_BEFORE = BEFORE
# Looking a member up in an enumeration costs as much as a call.
_RESPONSE_BODY, _RESPONSE_TRAILERS = Part.RESPONSE_BODY, Part.RESPONSE_TRAILERS

_log = logging.getLogger(__name__)


class Stream:
    """One, from its head on."""

    __slots__ = ("_answering", "_delivery", "_ended", "_engine", "_heard", "_opened", "_say", "_told", "ending", "waits")

    def __init__(self, engine: Engine, delivery: Delivery, patience: Longest, say: Callable[[Replies], None]) -> None:
        """From now on its time runs. `say`: to Envoy, unasked."""
        assert delivery.answering is not None
        self._engine, self._delivery, self._answering, self._say = engine, delivery, delivery.answering, say
        self._told = now = time.monotonic()
        """When Envoy was told of the record."""
        self.waits = patience._replace(total=now - delivery.first + patience.total)
        """How long it may take; the whole until when, by `time.monotonic`."""
        # What comes first may take as long as a first byte.
        self._heard = self._opened = now + patience.opening - patience.idle
        """When the last of it came, and what that was before the first of it."""
        self._ended = False
        """Its end has been told."""
        self.ending: Waiting[None] | None = None
        engine.clock.wind(self, min(now + patience.idle, self.waits.total))

    def receive(self, message: bytes) -> Replies:
        """One message from Envoy."""
        delivery = self._delivery
        if delivery.keeps and (chunk := piece(message)) is not None and self._answering.may_wait(chunk):
            self._heard = now = time.monotonic()
            kept, out = delivery.kept, [_BEFORE[len(chunk)] + chunk]
            kept.append(chunk)
            return out if len(kept) < TOGETHER and now - self._told <= TELL_EVERY else self._caught_up(out)
        incoming = Incoming(message)
        part = incoming.part
        return self._read(incoming) if part is _RESPONSE_BODY or part is _RESPONSE_TRAILERS else [GO_ON[part]]

    def _caught_up(self, out: Replies) -> Replies:
        """The last piece was kept, as others before; now they are read."""
        delivery = self._delivery
        try:
            delivery.catch_up()
        except Exception:  # as in `_read`
            _log.exception("request %s failed in its answer", delivery.request.record.called)
            raise
        if self._floods:
            return [*out, *self._give_up(_FLOODS)]
        if self._heard - self._told <= TELL_EVERY:
            return out
        self._told = self._heard
        return [out[0] + aside(record(delivery))]

    def _read(self, incoming: Incoming) -> Replies:
        """A piece, or the end: trailers are such, where there are some."""
        if self._ended:
            return []
        self._heard = time.monotonic()
        try:
            return self._go_on(incoming)
        except BrokenAnswer as error:
            return self._give_up(str(error))
        except Exception:  # a bug of ours: told once; the response has begun, so it is broken off
            _log.exception("request %s failed in its answer", self._delivery.request.record.called)
            raise

    def _go_on(self, incoming: Incoming) -> Replies:
        delivery = self._delivery
        if delivery.relayed:
            take_use(delivery, incoming)
        response = delivery.response
        assert response is not None
        usage = response.usage
        out = delivery.feed(incoming.body, incoming.end)
        if not incoming.end and self._floods:
            raise BrokenAnswer(_FLOODS)
        if response.ended:
            self.end()
        more = b""
        if delivery.request.journalled:
            more = _FORGET
        elif response.usage is not usage or self._heard - self._told > TELL_EVERY or incoming.part is _RESPONSE_TRAILERS:
            self._told = self._heard
            more = aside(record(delivery))
        if incoming.part is _RESPONSE_BODY:
            return [(last(out) if incoming.end else _BEFORE[len(out)] + out) + more]
        before = [_BEFORE[len(out)] + out] if out else []
        return [*before, GO_ON[incoming.part] + more]

    @property
    def _floods(self) -> bool:
        """Its provider sends more, and faster, than any model speaks, whether or not anything of it goes on."""
        return self._delivery.came >= FLOOD and self._delivery.came > FASTEST * self._delivery.lasted

    # Its end, before its provider's.

    @property
    def due(self) -> float:
        """When its time is over, as far as can be said."""
        return min(self._heard + self.waits.idle, self.waits.total)

    def look(self, now: float) -> float:
        """See `clock.Timed`."""
        waits = self.waits
        if (due := self.due) > now:
            # What comes first may take longer than what comes then, so the time may be over sooner.
            return min(due, now + waits.idle)
        why, told = (names.WHOLE_OVER, OVER) if waits.total <= now else (names.SILENT, SILENT)
        who = self._delivery.response.target if self._delivery.response is not None else None
        fault = Fault(504, "provider_timeout", told.format(f"The provider {who.provider}" if who is not None else "The provider"))
        self._cut(fault, why, as_it_counts(self._delivery, why))
        return 0.0

    def finish(self) -> None:
        """See `clock.Timed`."""
        self._cut(GONE, names.ENDING, OURS)

    def _cut(self, fault: Fault, why: str, counts: str) -> None:
        """See `ending.cut`."""
        delivery = self._delivery
        who = delivery.response.target if delivery.response is not None else None
        out = cut(delivery, fault, why, counts)
        ends = "ended" if (begun := self._heard != self._opened) else "broken off before its first event"
        named = f"{who.provider}/{who.model}" if who is not None else "its provider"
        _log.warning("request %s: the stream of %s is %s: %s", delivery.request.record.called, named, ends, REASONS[why])
        self._say(self._last(out) if begun else self._unbegun(fault, out))

    def _unbegun(self, fault: Fault, out: bytes) -> Replies:
        """The end of one of which nothing has come but its head: Envoy takes no piece of a body before it has shown one itself, so it
        breaks the answer off (docs/envoy.md).
        """
        self._ended = True
        self._delivery.request.record.bytes_out -= len(out)
        self.end()
        details = names.DETAILS_PREFIX + fault.code
        return [answer(fault.status, {}, b"", details=details, metadata=at_last(self._delivery))]

    def _give_up(self, why: str) -> Replies:
        """The rest of it cannot be told."""
        fault = unusable(self._delivery, why)
        out = last_words(self._delivery, fault)
        broken(self._delivery, fault)
        return self._last(out)

    def _last(self, out: bytes) -> Replies:
        """What is said at last. Envoy closes the provider's connection."""
        self._ended = True
        self.end()
        return [last(out) + aside(at_last(self._delivery))]

    def end(self) -> None:
        """It is over; before its client has the last byte, so that what it asks next finds the answer kept and the usage written."""
        if not self._delivery.over:
            self._engine.clock.stop(self)
            self.ending = end(self._engine, self._delivery)
