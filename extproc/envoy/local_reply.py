"""Replies that Envoy makes itself, in the shape of the client's dialect, with advice instead of Envoy's words.

The dialect is what the gate said, else what the path or the headers show. What the gate answers is left alone: its details begin
with a prefix. Envoy's details of an ext_proc failure may hold a Python error's text, so none of those reach a client.
"""

from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from msgspec import Struct

from extproc.config.model import Config, Limits
from extproc.envoy import names
from extproc.envoy.message import Plain, extension


class Reply(Struct, frozen=True):
    """One kind of reply."""

    when: str
    """CEL condition. The first reply whose condition holds is taken."""
    code: str
    """OpenAI's `code`."""
    openai: str
    """OpenAI's `type`."""
    anthropic: str
    """Anthropic's `type`."""
    message: str
    """What happened and what to do; Envoy's command operators work."""


def _status(*codes: int) -> str:
    return "(" + " || ".join(f"response.code == {code}" for code in codes) + ")"


def _details(*prefixes: str) -> str:
    return "(" + " || ".join(f'response.code_details.startsWith("{prefix}")' for prefix in prefixes) + ")"


def _refusals(limits: Limits) -> tuple[Reply, ...]:
    """What is wrong with a request."""
    return (
        Reply(
            _status(413),
            "request_too_large",
            "invalid_request_error",
            "request_too_large",
            f"The request's body is larger than {limits.request_body} bytes, the gateway's limit. Send less, or raise limits.request_body.",
        ),
        Reply(
            _status(431),
            "request_headers_too_large",
            "invalid_request_error",
            "invalid_request_error",
            f"The request's headers are larger than {limits.request_headers} KiB or too many. Send fewer, or raise limits.request_headers.",
        ),
        Reply(
            _status(408),
            "request_timeout",
            "invalid_request_error",
            "timeout_error",
            "The request did not arrive in time. Send it again.",
        ),
        Reply(
            _status(404),
            "not_found",
            "invalid_request_error",
            "not_found_error",
            "Nothing is served here. Check the URL's path.",
        ),
        Reply(
            "response.code >= 400 && response.code < 500 && !" + _details("ext_proc", "spurious"),
            "invalid_request",
            "invalid_request_error",
            "invalid_request_error",
            "The request is not acceptable HTTP (%RESPONSE_CODE_DETAILS%). Correct it before sending it again.",
        ),
    )


def _failures() -> tuple[Reply, ...]:
    """What is wrong here, or at a provider."""
    return (
        Reply(
            _status(504) + " && " + _details("ext_proc"),
            "gateway_timeout",
            "server_error",
            "timeout_error",
            "The gateway took too long to decide about this request. Try again.",
        ),
        Reply(
            _status(504),
            "provider_timeout",
            "server_error",
            "timeout_error",
            "The provider did not answer in time. Try again, or allow it more with timeouts.first_byte and timeouts.idle.",
        ),
        Reply(
            _details("ext_proc", "spurious", "mismatch_between_content_length"),
            "gateway_error",
            "server_error",
            "api_error",
            "The gateway failed while it worked on this request. Send it again; if that does not help, report the request id.",
        ),
        Reply(
            _status(503) + " && " + _details("cluster_not_found", "no_healthy_upstream", "no_cluster"),
            "provider_unavailable",
            "server_error",
            "api_error",
            "The provider for this request is not there at present. Try again, or check the gateway's providers.",
        ),
        Reply(
            _status(503) + " && (" + _details("overload", "maximum") + ' || response.code_details.contains("overflow"))',
            "overloaded",
            "server_error",
            "overloaded_error",
            "The gateway has as many requests under way as it may. Try again in a moment.",
        ),
        Reply(
            _status(502, 503),
            "provider_unreachable",
            "server_error",
            "api_error",
            "The provider could not be reached, or broke off before it answered. Try again.",
        ),
        Reply(
            "true",
            "gateway_error",
            "server_error",
            "api_error",
            "The gateway could not answer this request. Try again; if that does not help, report the request id.",
        ),
    )


_REQUEST_ID = "%REQ(X-REQUEST-ID)%"
_NOT_OURS = f'!response.code_details.startsWith("{names.DETAILS_PREFIX}")'
_SAID = f'"{names.NAMESPACE}" in metadata.filter_metadata && "{names.DIALECT}" in metadata.filter_metadata["{names.NAMESPACE}"]'
_ANTHROPIC = (
    f'({_SAID} ? metadata.filter_metadata["{names.NAMESPACE}"]["{names.DIALECT}"] == "anthropic"'
    ' : (request.url_path.startsWith("/v1/messages") || "anthropic-version" in request.headers))'
)


def local_reply_config(config: Config, *, only: str = "") -> Plain:
    """All replies in both dialects: Anthropic's first, then OpenAI's, which is also for requests too broken to tell.

    `only`: a CEL condition that all of them have besides.
    """
    replies = _refusals(config.limits) + _failures()
    first = f"{only} && {_NOT_OURS}" if only else _NOT_OURS
    anthropic = [_mapper(f"{first} && {_ANTHROPIC} && ({reply.when})", _anthropic(reply)) for reply in replies]
    return {"mappers": anthropic + [_mapper(f"{first} && ({reply.when})", _openai(reply)) for reply in replies]}


def _mapper(expression: str, body: Plain) -> Plain:
    condition = extension("envoy.access_loggers.extension_filters.cel", ExpressionFilter(expression=expression))
    return {"filter": {"extension_filter": condition}, "body_format_override": {"json_format": body}}


def _openai(reply: Reply) -> Plain:
    error = {"message": reply.message, "type": reply.openai, "param": None, "code": reply.code, "request_id": _REQUEST_ID}
    return {"error": error}


def _anthropic(reply: Reply) -> Plain:
    return {"type": "error", "error": {"type": reply.anthropic, "message": reply.message}, "request_id": _REQUEST_ID}
