"""What the ledger is told of a request: its record, brought up to what is known by now, at any moment of its life."""

from msgspec.structs import replace

from extproc.answering import Answering
from extproc.envoy.names import ENDING
from extproc.ledger.record import Outcome, Record
from extproc.usage import Usage, broken_off
from extproc.values import Request, Response

_ENVOY_LOST_WORKER = "ext_proc_"
"""Begins Envoy's word for an attempt whose worker died: another one than this, which lives to hear it."""


def forecast(request: Request, duration: float) -> Record:
    """What is told of a request on its way to a provider, for the case that this worker does not live to tell more: who is asked first,
    and, where that is the only one, what an answer costs at least. `ledger.access_log` believes it if Envoy saw an answer begin.
    """
    identity, targets = request.identity, request.targets
    generates = request.endpoint.converses
    least = broken_off(None, len(request.body), 0) if generates and len(targets) == 1 else None
    return replace(
        request.record,
        tenant=identity.tenant,
        key=identity.key,
        provider=targets[0].provider if targets else "",
        target=targets[0].model if targets else "",
        usage=least or Usage(),
        estimated=least is not None,
        metered=generates,
        duration=duration,
    )


def tally(request: Request, response: Response, answering: Answering | None, duration: float) -> Record:
    """The record of `request`, changed in place. `duration`: seconds since it began."""
    record, target = request.record, response.target
    record.tenant, record.key = request.identity.tenant, request.identity.key
    record.duration = duration
    record.provider, record.target = (target.provider, target.model) if target is not None else ("", "")
    record.status, record.answered, record.attempts = response.status, response.answered, response.attempts
    usage = response.usage
    if usage is not None:
        record.usage, record.estimated = usage, response.estimated
    if answering is not None:
        record.error = answering.error or record.error
        # It is paid for by what it generates: every conversation, and whatever else has generated something.
        operation = request.endpoint.operation
        generates = operation == "chat" or answering.text > 0
        if answering.amount is not None:
            record.unit, record.amount = answering.amount.unit, answering.amount.count
        elif response.status >= 400:
            record.unit, record.amount = "", 0.0
        # To count tokens costs nothing, wherever it is done.
        record.metered = generates or operation == "count" or usage is not None or record.amount > 0
        failed = answering.error and not answering.text
        if generates and not failed and not (usage is not None and answering.finished):
            _guess(record, request, response, answering)
    record.outcome = outcome = _outcome(response, record.error)
    record.partial = outcome in _PARTIAL and target is not None
    return record


_PARTIAL = ("client_closed", "provider_broke", "killed")


def _guess(record: Record, request: Request, response: Response, answering: Answering) -> None:
    """Broken off before the final count, or a provider that never counts: what was seen is better than nothing."""
    # Of a form, which holds a file, the size says nothing.
    asked = 0 if request.endpoint.kind == "form" else len(request.body)
    guess = broken_off(response.usage, asked, answering.text) if response.status < 400 else None
    if guess is not None:
        record.usage, record.estimated = guess, True


def _outcome(response: Response, error: str) -> Outcome:
    if error == ENDING:
        return "killed"
    if response.ended in ("client_closed", "provider_broke"):
        return response.ended
    if response.origin == "gateway" and response.status >= 400:
        return "rejected"
    if error.startswith(_ENVOY_LOST_WORKER):
        return "killed"
    return "error" if response.status >= 400 else "complete"
