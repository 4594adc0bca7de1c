"""What the ledger is told of a request: its record, brought up to what is known by now, at any moment of its life."""

from extproc.answering import Answering
from extproc.ledger.record import Outcome, Record
from extproc.usage import broken_off
from extproc.values import Request, Response

_ENVOY_LOST_WORKER = "ext_proc_"
"""Begins Envoy's word for an attempt whose worker died: another one than this, which lives to hear it."""


def tally(request: Request, response: Response | None, answering: Answering | None, duration: float) -> Record:
    """The record of `request`, changed in place. `response`: None before there is one. `duration`: seconds since it began."""
    record = request.record
    record.tenant, record.key = request.identity.tenant, request.identity.key
    record.duration = duration
    if response is None:
        # Who is asked first, for the case that this worker does not live to see the answer.
        if request.targets:
            record.provider, record.target = request.targets[0].provider, request.targets[0].model
        return record
    target = response.target
    record.provider, record.target = (target.provider, target.model) if target is not None else ("", "")
    record.status, record.answered, record.attempts = response.status, response.answered, response.attempts
    if answering is not None:
        record.error = answering.error or record.error
        # It is paid for by what it generates: every conversation, and whatever else has generated something.
        generates = request.endpoint.kind == "chat" or answering.text > 0
        record.metered = generates or response.usage is not None
    else:
        generates = False
    if response.usage is not None:
        record.usage, record.estimated = response.usage, response.estimated
    if generates and answering is not None and not (response.usage is not None and answering.finished):
        _guess(record, request, response, answering)
    record.outcome = _outcome(response, record.error)
    record.partial = record.outcome in ("client_closed", "provider_broke", "killed") and bool(record.provider)
    return record


def _guess(record: Record, request: Request, response: Response, answering: Answering) -> None:
    """Broken off before the final count, or a provider that never counts: what was seen is better than nothing."""
    guess = broken_off(response.usage, len(request.body), answering.text) if response.status < 400 else None
    if guess is not None:
        record.usage, record.estimated = guess, True


def _outcome(response: Response, error: str) -> Outcome:
    if response.ended in ("client_closed", "provider_broke"):
        return response.ended
    if response.origin == "gateway" and response.status >= 400:
        return "rejected"
    if error.startswith(_ENVOY_LOST_WORKER):
        return "killed"
    return "error" if response.status >= 400 else "complete"
