"""Why there is no answer, or no end of it: Envoy's words for it, ours for people, and what counts against whom."""

from extproc.deadline import TIMEOUT
from extproc.delivery import Delivery
from extproc.envoy import names
from extproc.tried import CONNECT, FULL, LATE, NO_SOCKET, SPENT

_OURS = "ext_proc"
"""Begins `response.code_details` where Envoy could not get an answer from one of our own workers."""
UNUSABLE = "bad_provider_answer"
"""Our word for an answer that an adapter could not read to its end."""

_NO_ADDRESS = "no_address"
"""Our word for the attempt at a provider whose name cannot be resolved."""

_RESET = "upstream_reset_before_response_started"
_UNCONNECTED = ("remote_connection_failure", "local_connection_failure", "connection_timeout")
"""Begin what Envoy says beside that of a connection that was never made (StreamResetReason): in its log of attempts, the flag `UF`."""

# What an operator can do about Envoy's commonest reasons; the others speak for themselves.
REASONS = {
    _NO_ADDRESS: "its name cannot be resolved",
    UNUSABLE: "its answer could not be read to its end (the log says why)",
    "no_healthy_upstream": "it has no address (no_healthy_upstream)",
    "cluster_not_found": "Envoy does not know it (cluster_not_found)",
    names.WHOLE_OVER: "the whole took too long (timeouts.total, or x-headgate-timeout of the client)",
    "upstream_per_try_timeout": "it did not begin to answer in time (timeouts.first_byte)",
    # Of what has begun, nobody here is told: Envoy breaks it off.
    "upstream_per_try_idle_timeout": "it did not begin to answer in time (timeouts.first_byte and timeouts.idle)",
    names.SILENT: "it fell silent (timeouts.idle)",
    FULL: "it has no room (concurrency)",
    SPENT: "too many requests have gone on to another target of late (retries.fallback_budget)",
    names.NO_UPGRADE: "it did not take the WebSocket",
    names.ENDING: "the time is over that is left for what is under way when a gateway, or a worker, ends (drain)",
}


SILENT = "{} was silent for too long. Try again, or allow it more with timeouts.idle of the provider, the model or the target."
OVER = (
    "{} did not answer within the time for the whole request. Try again, or allow more with the header x-headgate-timeout, or "
    "timeouts.total of the provider, the model or the target."
)
"""What the client of a stream is told that is ended."""


def reason_of(details: str) -> str:
    """Envoy's word for why it answers itself, without what follows in braces; or ours, where the adapter refused."""
    if names.NO_ADDRESS in details:
        return _NO_ADDRESS
    # An adapter ends its stream so, whose answer's head had gone: not its own fault.
    if f"{{{names.UNUSABLE}" in details:
        return UNUSABLE
    return details.partition("{")[0].removeprefix(names.DETAILS_PREFIX) or "local_reply"


def as_it_counts(delivery: Delivery, reason: str, details: str = "") -> str:
    """The same for who was asked last: who had a part of the time, or as little as the client liked, is not to blame that it is over.
    `details`: Envoy's, which say whether what it calls reset was ever a connection.
    """
    if reason == _RESET and details.partition("{")[2].startswith(_UNCONNECTED):
        return NO_SOCKET if NO_SOCKET in details else CONNECT
    return LATE if reason == names.WHOLE_OVER and (delivery.several or TIMEOUT in delivery.request.headers) else reason


def told_of_failure(delivery: Delivery, reason: str, details: str) -> str:
    """Who gave no answer, and why: of several targets only those that were asked."""
    if reason.startswith(_OURS):
        return f"a worker of ours ended or failed while it was under way; the providers have nothing to do with that ({details})"
    tried = delivery.request.record.tried
    asked = [one.provider for one in tried if one.asked] or [one.provider for one in delivery.planned[: max(1, delivery.attempts)]]
    before = f" (before that: {', '.join(asked[:-1])})" if asked[1:] else ""
    if tried and not tried[-1].asked:
        return f"no answer from {', '.join(asked)}, and {tried[-1].provider} is not asked: {REASONS[tried[-1].reason]}"
    return f"no answer from {asked[-1] if asked else 'anybody'}: {REASONS.get(reason, details)}{before}"
