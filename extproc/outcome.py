"""What came of a request's attempts, as its answer tells."""

from collections.abc import Sequence
from typing import NamedTuple

from extproc.answering import Answering
from extproc.attempt import Attempt
from extproc.errors import come_again
from extproc.ledger.record import Record
from extproc.tried import ATTEMPTS, BROKEN_OFF, STOPPED, Tried, header, soonest
from extproc.values import Response, Target

_COME_AGAIN = (429, 503, 529)
"""Statuses that say when."""
_OTHERS = ("provider", "envoy")
"""Who tells, by an answer, what came of an attempt."""


class Asked(NamedTuple):
    """How an attempt went."""

    status: int
    """What its answer's head said; 0: there was none."""
    first: float
    """Seconds until then."""
    whole: float
    """Seconds until its end."""


def tell(tried: tuple[Tried, ...], response: Response, record: Record) -> None:
    """All attempts, to the client and the ledger."""
    response.tried = tried
    response.headers[ATTEMPTS] = header(tried)
    record.provider_key = tried[-1].key
    if len(tried) > 1 or tried[0].failed:
        record.tried = tried
    if len(tried) > 1 and response.status in _COME_AGAIN and (wait := soonest(tried)):
        # The last one's own is not when the others may be asked.
        response.headers |= dict((come_again(wait),)) | {"retry-after-ms": None}


def last_asked(tried: Sequence[Tried]) -> Target | None:
    """Who was."""
    return next((Target(one.provider, one.model) for one in reversed(tried) if one.asked), None)


def of_only(attempt: Attempt, answering: Answering | None, response: Response, record: Record, asked: Asked) -> Tried | None:
    """What came of the only attempt, now that it is over; None where its client hung up before the head, or nobody was asked."""
    # What is refused here has a reason of ours, such as that all keys are at our limits.
    if response.origin not in _OTHERS:
        return None
    reason = response.reason or record.error or (BROKEN_OFF if response.ended == "provider_broke" else "")
    request, mirror_of = "", ""
    if response.ended == "client_closed" and not reason:
        if not asked.status:
            return None
        reason, request, mirror_of = STOPPED, record.id, record.mirror_of
    target, resets = attempt.target, answering.resets if answering is not None else 0.0
    status = asked.status if response.origin == "provider" else 0
    return Tried(
        target.provider, target.model, status, reason, attempt.key, asked.first, asked.whole, resets, request, mirror_of=mirror_of
    )  # fmt: skip
