"""What is no answer though it came as one, found out while its head is held: the error that it is, so that the next target is asked."""

from msgspec.structs import replace

from extproc.answering import STILLBORN, Answering, Uncounted, WholeUntouched
from extproc.attempt import Attempt
from extproc.envoy import names
from extproc.errors import Fault

_ERRORS, _SERVER_ERRORS = 400, 500
_UNCOUNTED = Fault(404, "not_found", "The provider counts no tokens.")


def as_far(attempt: Attempt, answering: Answering, *, end: bool, another: bool) -> Answering | None:
    """The error that an answer turns out to be as far as it has come; None while it may be one. `another`: a target is left to ask."""
    if not answering.stream:
        return whole(attempt, answering, another=another) if end else None
    fault = answering.opening or (STILLBORN if end and not answering.begun else None)
    return attempt.failed(_as_error(fault)) if fault is not None else None


def alone(attempt: Attempt, answering: Answering, *, another: bool) -> tuple[Answering, bytes]:
    """What an answer is that has nothing but its head, and the body that its client is to get with it. `another`: as in `as_far`."""
    body = answering.feed(b"", True)
    failed = attempt.failed(_UNCOUNTED) if type(answering) is Uncounted and answering.status < _ERRORS else None
    if (failed := failed or whole(attempt, answering, another=another)) is not None:
        answering, body = failed, failed.feed(b"", True)
    return answering, b"".join(body)


def whole(attempt: Attempt, answering: Answering, *, another: bool) -> Answering | None:
    """The error that an answer is which would pass as it is: one that came in its place, or, if there is another target to ask, one that it
    tells itself.
    """
    if isinstance(answering, WholeUntouched):
        if answering.finished:
            answering.verify()
        if (told := answering.failure()) is not None:
            return told
    fault = answering.opening
    if fault is None or not another:
        return None
    worth = fault.status >= _SERVER_ERRORS or fault.status in names.RETRIABLE
    return attempt.failed(_as_error(fault)) if worth else None


def _as_error(fault: Fault) -> Fault:
    """With the status of one."""
    return fault if fault.status >= _ERRORS else replace(fault, status=502)
