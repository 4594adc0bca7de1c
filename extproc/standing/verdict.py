"""Against whom a failed attempt counts, and as what kind of failure: two tables, the words first, then the statuses."""

from typing import Literal

from extproc.config.breaker import Failing
from extproc.tried import BROKEN_OFF, LATE, NO_ANSWER, NO_SOCKET, OURS, STOPPED

Meaning = Literal[Failing, "limited", "request", "nothing"]
"""A kind of failure; or `limited`: too many requests (or tokens) for now; `request`: it is the request's own trouble, and who says so
answers; `nothing`: the attempt shows nothing of the provider."""

_BY_REASON: dict[str, Meaning] = {
    # What Envoy's log of attempts says, and `extproc.tried`.
    "connect": "connect",
    "timeout": "timeout",
    "reset": "reset",
    NO_ANSWER: "reset",
    BROKEN_OFF: "reset",
    "stream_interrupted": "reset",
    LATE: "nothing",
    STOPPED: "nothing",
    OURS: "nothing",
    NO_SOCKET: "nothing",
    "bad_provider_answer": "bad_answer",
    # `response.code_details` of Envoy's own answers.
    "no_address": "connect",
    "no_healthy_upstream": "connect",
    "cluster_not_found": "connect",
    "response_timeout": "timeout",
    "stream_idle_timeout": "timeout",
    "upstream_per_try_timeout": "timeout",
    "upstream_per_try_idle_timeout": "timeout",
    "upstream_response_timeout": "timeout",
    "upstream_max_stream_duration_reached": "timeout",
    # Words of `extproc.dialects.failing`.
    "overloaded": "overloaded",
    "rate_limit_exceeded": "limited",
    "invalid_api_key": "credential",
    "insufficient_quota": "credential",
    "provider_authentication": "credential",
    "content_filter": "request",
    "content_policy_violation": "request",
    "moderation_blocked": "request",
    "context_length_exceeded": "request",
    "request_too_large": "request",
    "invalid_request": "request",
    # A model that a provider does not know is no fault of the provider's, and its answer comes at once: passing it over would save
    # nothing, and tell the callers of other models' names (where targets keep the name that was asked for) something else.
    "model_not_found": "request",
    "not_found": "request",
    "unsupported_country_region_territory": "request",
}

_BY_STATUS: dict[int, Meaning] = {
    401: "credential",
    402: "credential",
    403: "credential",
    408: "timeout",
    # Of Bedrock, whose model has failed.
    424: "server_error",
    429: "limited",
    # What is not offered is not offered to anybody.
    501: "request",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_FLEX = (498, "overloaded")
"""Groq's, for requests that want what is left over (`service_tier`), and have to do without it now and then. It says nothing of room for
others (https://console.groq.com/docs/flex-processing).
"""
_BEGUN, _ERRORS, _SERVER_ERRORS = 100, 400, 500
_ENVOYS = "upstream_"


def meaning(status: int, reason: str) -> Meaning | None:
    """What it means that a provider answered with `status` (0: not at all), and why that was no answer (empty: it was). None: it was."""
    if not reason and _BEGUN <= status < _ERRORS:
        return None
    known = _BY_REASON.get(reason) if (status, reason) != _FLEX else "request"
    if status == 0:
        # It was not asked, or nothing came: what is the request's own trouble, or ours, is so before anybody is asked.
        return known if known not in (None, "request", "limited") else "reset" if reason.startswith(_ENVOYS) else "nothing"
    # Some say 403 for the request's own trouble, or 200 and tell an error in the body: the word is the better witness.
    if (known := known or _BY_STATUS.get(status)) is not None:
        return known
    if _ERRORS <= status < _SERVER_ERRORS:
        return "request"
    return "server_error" if status >= _SERVER_ERRORS else "bad_answer"


def blames_key(status: int, reason: str) -> bool:
    """Whether another key of the same provider may do better at once."""
    return meaning(status, reason) in ("credential", "limited")
