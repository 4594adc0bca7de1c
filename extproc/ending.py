"""How an exchange ends: what the worker learns of it, and what is said of an answer that cannot be told to its end."""

import logging

from extproc.delivery import Delivery
from extproc.drive import Waiting, begin
from extproc.engine import Engine
from extproc.errors import Fault
from extproc.standing.verdict import blames_key
from extproc.tried import Tried

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


def unusable(delivery: Delivery, why: str) -> Fault:
    """The provider's answer cannot be told to its end; its log says so, too."""
    _log.warning("request %s: %s", delivery.request.record.called, why)
    return Fault(502, "bad_provider_answer", f"This cannot be answered: {why}.")
