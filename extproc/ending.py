"""How an exchange ends: what the worker learns of it, and what is said of an answer that cannot be told to its end."""

import logging
from typing import Literal

import msgspec
from msgspec.structs import replace

from extproc.answering import WholeTranslated
from extproc.delivery import Delivery
from extproc.dialects import DIALECTS
from extproc.drive import Waiting, begin
from extproc.engine import Engine
from extproc.errors import Fault
from extproc.standing.verdict import blames_key
from extproc.tried import OURS, Tried

_ERRORS = 400

_log = logging.getLogger(__name__)


def end(engine: Engine, delivery: Delivery) -> Waiting[None] | None:
    """Lets the taps finish. What of that waits has been begun; the transport sees to the rest of it when Envoy closes the stream."""
    rest = begin(delivery.end())
    if engine.ears and (tried := delivery.tried()) is not None and not _of_own_key(delivery, tried):
        engine.hear(tried)
    record = delivery.request.record
    # A stream's events come and go one by one.
    engine.leftovers.passed(record.bytes_in if record.stream else record.bytes_in + record.bytes_out)
    return rest if isinstance(rest, Waiting) else None


def _of_own_key(delivery: Delivery, tried: Tried) -> bool:
    """A caller's own key was refused, or is at its limits: that is nobody else's trouble."""
    return delivery.request.own is not None and blames_key(tried.status, tried.reason)


def fill(delivery: Delivery) -> bytes:
    """Ends an answer that came without a body, or whose body nobody waits for: the body that the client gets instead, since an error has
    the shape of its dialect.
    """
    out, call, response = delivery.feed(b"", True), delivery.call, delivery.response
    if out or delivery.answering is None or call is None or response is None or call.kind == "raw" or response.status < _ERRORS:
        return out
    dialect = DIALECTS[call.dialect]
    out = msgspec.json.encode(dialect.write_error(dialect.read_error(response.status, b""), call.id))
    delivery.request.record.bytes_out = len(out)
    return out


def forgo(delivery: Delivery, whole: bytes) -> None:
    """What can only be done aside with a bulky answer is not done, and the answer is lost; what it cost is told all the same."""
    if type(delivery.answering) is WholeTranslated and delivery.response is not None:
        delivery.response.usage, delivery.response.answered = delivery.answering.forgo(whole)


def broken(delivery: Delivery, fault: Fault, *, ended: Literal["complete", "provider_broke"] = "provider_broke") -> bytes:
    """An answer cannot go on: the body that the client gets instead, if its head has not gone out yet. `ended`: `complete` where the
    provider has done its part.
    """
    request, response, answering = delivery.request, delivery.response, delivery.answering
    if response is not None:
        response.status, response.ended = fault.status, ended
        response.reason = OURS if ended == "complete" else ""
    if answering is not None:
        answering.error = fault.code
    return msgspec.json.encode(DIALECTS[request.endpoint.dialect].write_error(fault, request.record.id))


def last_words(delivery: Delivery, fault: Fault) -> bytes:
    """What the client of a stream gets instead of the rest of it."""
    delivery.keeps = False
    delivery.catch_up_at_last()
    record, answering = delivery.request.record, delivery.answering
    events = delivery.passed(answering.break_off(fault, record.id)) if answering is not None else []
    out = b"".join(events)
    record.bytes_out += len(out)
    return out


def cut(delivery: Delivery, fault: Fault, why: str, counts: str) -> bytes:
    """Ends a stream whose time is over: its last bytes. `why`: the ledger's word for it; `counts`: see `Response.reason`."""
    delivery.catch_up_at_last()
    response = delivery.response
    assert response is not None
    if response.finished:
        # All is said, and the provider has only not ended it.
        delivery.keeps = False
        return delivery.feed(b"", True)
    told = delivery.answering.error if delivery.answering is not None else ""
    # An error that it has told is what became of it, though it was not ended then.
    why, counts = told or why, told or counts
    out, record = last_words(delivery, fault), delivery.request.record
    record.error, response.reason, response.ended = why, counts, "provider_broke"
    if delivery.several and response.tried:
        last = response.tried[-1]
        made = replace(last, reason=counts, whole=round(last.first + delivery.lasted, 4))
        response.tried = record.tried = (*response.tried[:-1], made)
        delivery.cut = replace(made, again=True)
    return out


def unusable(delivery: Delivery, why: str) -> Fault:
    """The provider's answer cannot be told to its end; its log says so, too."""
    _log.warning("request %s: %s", delivery.request.record.called, why)
    return Fault(502, "bad_provider_answer", f"This cannot be answered: {why}.")
