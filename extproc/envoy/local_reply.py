"""Replies that Envoy makes itself, in the shape of the client's dialect, with advice instead of Envoy's words.

The dialect is what the gate said, else what the path or the headers show. What the gate answers is left alone: its details begin
with a prefix. So is what a route of the operator's answers. Envoy's details of an ext_proc failure may hold a Python error's text, so none
of those reach a client.
"""

from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from msgspec import Struct

from extproc.config.model import Config, Limits
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect
from extproc.endpoints import FALLBACK
from extproc.envoy import names
from extproc.envoy.message import Plain, extension
from extproc.errors import Fault


class Reply(Struct, frozen=True):
    """One kind of reply."""

    when: str
    """CEL condition. The first reply whose condition holds is taken."""
    status: int
    """What decides how a dialect calls such an error."""
    code: str
    message: str
    """What happened and what to do; Envoy's command operators work."""
    instead: bool = False
    """The client gets that status, in place of Envoy's own."""


def _status(*codes: int) -> str:
    return "(" + " || ".join(f"response.code == {code}" for code in codes) + ")"


def _details(*prefixes: str) -> str:
    return "(" + " || ".join(f'response.code_details.startsWith("{prefix}")' for prefix in prefixes) + ")"


_NO_ADDRESS = f'response.code_details.contains("{names.NO_ADDRESS}")'


def _refusals(limits: Limits) -> tuple[Reply, ...]:
    """What is wrong with a request."""
    return (
        Reply(
            _status(413),
            413,
            "request_too_large",
            f"The request's body is larger than {limits.request_body} bytes, the gateway's limit. Send less, or raise limits.request_body.",
        ),
        Reply(
            _status(431),
            431,
            "request_headers_too_large",
            f"The request's headers are larger than {limits.request_headers} KiB or too many. Send fewer, or raise limits.request_headers.",
        ),
        Reply(
            _status(408),
            408,
            "request_timeout",
            "The request did not arrive in time. Send it again.",
        ),
        Reply(
            _status(404),
            404,
            "not_found",
            "Nothing is served here. Check the URL's path.",
        ),
        Reply(
            "response.code >= 400 && response.code < 500 && !" + _details("ext_proc", "spurious"),
            400,
            "invalid_request",
            "The request is not acceptable HTTP (%RESPONSE_CODE_DETAILS%). Correct it before sending it again.",
        ),
    )


_PROVIDER = f"The provider %METADATA(CLUSTER:{names.NAMESPACE}:{names.PROVIDER})%"
_WHERE = "of the provider, the model or the target"


def _timeouts() -> tuple[Reply, ...]:
    """Which time has run out, at whom, and where there is more to be had."""
    code = "provider_timeout"
    return (
        Reply(
            _status(504) + " && " + _details("upstream_per_try_timeout"),
            504,
            code,
            f"{_PROVIDER} did not begin to answer in time. Try again, or allow it more with timeouts.first_byte {_WHERE}.",
        ),
        Reply(
            _status(504) + " && " + _details("upstream_per_try_idle_timeout", "stream_idle_timeout"),
            504,
            code,
            f"{_PROVIDER} was silent for too long. Try again, or allow it more with timeouts.first_byte and timeouts.idle {_WHERE}.",
        ),
        Reply(
            _status(504),
            504,
            code,
            f"{_PROVIDER} did not answer within the time for the whole request. Try again, or allow more with the header "
            f"x-headgate-timeout, or timeouts.total {_WHERE}.",
        ),
        Reply(
            _status(503, 504) + ' && response.code_details.contains("connection_timeout")',
            504,
            code,
            f"{_PROVIDER} could not be connected to in time. Try again, or allow it more with timeouts.connect of the provider.",
            instead=True,
        ),
    )


def _failures() -> tuple[Reply, ...]:
    """What is wrong here, or at a provider."""
    return (
        Reply(
            _status(500) + " && " + _details("ext_proc") + f' && response.code_details.contains("{names.UNUSABLE}")',
            502,
            "bad_provider_answer",
            f"{_PROVIDER} sent an answer that cannot be read to its end. Try again.",
            instead=True,
        ),
        Reply(
            _status(504) + " && " + _details("ext_proc"),
            504,
            "gateway_timeout",
            "The gateway took too long to decide about this request. Try again.",
        ),
        *_timeouts(),
        Reply(
            _details("ext_proc", "spurious", "mismatch_between_content_length"),
            500,
            "gateway_error",
            "The gateway failed while it worked on this request. Send it again; if that does not help, report the request id.",
        ),
        Reply(
            _status(503) + f" && ({_details('cluster_not_found', 'no_healthy_upstream', 'no_cluster')} || {_NO_ADDRESS})",
            500,
            "provider_unavailable",
            "The provider for this request is not there at present. Try again, or check the gateway's providers.",
        ),
        Reply(
            _status(503) + " && (" + _details("overload", "maximum") + ' || response.code_details.contains("overflow"))',
            503,
            "overloaded",
            "The gateway has as many requests under way as it may. Try again in a moment.",
        ),
        Reply(
            _status(502, 503),
            500,
            "provider_unreachable",
            "The provider could not be reached, or broke off before it answered. Try again.",
        ),
        Reply(
            "true",
            500,
            "gateway_error",
            "The gateway could not answer this request. Try again; if that does not help, report the request id.",
        ),
    )


_REQUEST_ID = "%REQ(X-REQUEST-ID)%"
_THEIRS = 'response.code_details == "direct_response"'
"""What a route says itself, or where it sends a client instead. None of ours does, so it is one of the operator's."""
_NOT_OURS = f'!response.code_details.startsWith("{names.DETAILS_PREFIX}")'
_SAID = f'"{names.NAMESPACE}" in metadata.filter_metadata && "{names.DIALECT}" in metadata.filter_metadata["{names.NAMESPACE}"]'


def local_reply_config(config: Config, *, only: str = "") -> Plain:
    """All replies in all dialects; last in the one of those who do not say, which is also for requests too broken to tell.

    `only`: a CEL condition that all of them have besides.
    """
    replies = _refusals(config.limits) + _failures()
    first = f"{only} && {_NOT_OURS}" if only else _NOT_OURS
    # The first mapper that matches is taken, and one without a body leaves the reply's own.
    mappers: list[Plain] = [{"filter": _condition(f"{only} && {_THEIRS}" if only else _THEIRS)}]
    last = DIALECTS[FALLBACK]
    # Responses' errors are those of the fallback, which says them without asking who speaks.
    unlike = [dialect for dialect in DIALECTS.values() if any(_body(dialect, reply) != _body(last, reply) for reply in replies)]
    for dialect in (*unlike, last):
        condition = first if dialect.name == FALLBACK else f"{first} && {_speaks(dialect)}"
        mappers += [
            _mapper(f"{condition} && ({reply.when})", _body(dialect, reply), reply.status if reply.instead else None) for reply in replies
        ]
    return {"mappers": mappers}


def _looks(prefix: str) -> str:
    """A path that begins so, but with none of the longer prefixes of others."""
    others = [other for dialect in DIALECTS.values() for other in dialect.prefixes if other != prefix and other.startswith(prefix)]
    return " && ".join([_begins(prefix), *(f"!{_begins(other)}" for other in others)])


def _begins(prefix: str) -> str:
    return f'request.url_path.startsWith("{prefix}")'


def _speaks(dialect: Dialect) -> str:
    """CEL: the gate said so, or else the path or a header do."""
    looks = [_looks(prefix) for prefix in dialect.prefixes]
    looks += [f'"{dialect.mark}" in request.headers'] if dialect.mark else []
    said = f'metadata.filter_metadata["{names.NAMESPACE}"]["{names.DIALECT}"] == "{dialect.name}"'
    return f"({_SAID} ? {said} : ({' || '.join(looks)}))"


def _mapper(expression: str, body: Plain, status: int | None) -> Plain:
    told = {"status_code": status} if status else {}
    return {"filter": _condition(expression), **told, "body_format_override": {"json_format": body}}


def _condition(expression: str) -> Plain:
    return {"extension_filter": extension("envoy.access_loggers.extension_filters.cel", ExpressionFilter(expression=expression))}


def _body(dialect: Dialect, reply: Reply) -> Plain:
    return dialect.write_error(Fault(reply.status, reply.code, reply.message), _REQUEST_ID)
