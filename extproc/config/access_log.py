"""The section `access_log`: a line for each request, for people. The ledger keeps one of its own."""

from typing import Annotated, Literal, get_args

from msgspec import Meta

from extproc.config.section import Section

LogField = Literal[
    "time", "request_id", "client", "protocol", "method", "path", "status", "details", "flags", "bytes_in", "bytes_out", "duration_ms",
    "first_byte_ms", "attempts", "provider", "upstream", "upstream_failure", "tenant", "key", "model",
]  # fmt: skip
"""What a line may say."""
STREAMS = ("stdout", "stderr")
FIELDS: tuple[LogField, ...] = get_args(LogField)

Header = Annotated[
    str, Meta(pattern=r"^[0-9a-z_-]{1,128}$", description="a header's name in lower case that may be logged: none that holds a credential")
]


class AccessLog(Section, frozen=True):
    """Where Envoy writes a JSON object a request, when it has ended. No credential is in it, no body, and nothing of a URL's query."""

    path: Annotated[str, Meta(min_length=1)] = "stdout"
    """`stdout`, `stderr` (which is `envoy.log` in the state folder under `headgate up`), or a file, relative to the configuration file. A
    file that has grown beyond 64 MiB is renamed to `NAME.1`, in place of the one before."""
    fields: Annotated[tuple[LogField, ...], Meta(min_length=1)] = FIELDS
    """What a line says; all that there is, unless given. `key` is the name of the caller's key, never the key."""
    request_headers: Annotated[tuple[Header, ...], Meta(max_length=32)] = ()
    """Headers of requests to log as well, as `request_header_NAME`."""
    response_headers: Annotated[tuple[Header, ...], Meta(max_length=32)] = ()
    """Headers of answers to log as well, as `response_header_NAME`."""


_CREDENTIALS = frozenset(
    ("auth", "authorization", "authenticate", "authentication", "cookie", "credential", "credentials", "jwt", "key", "password", "secret",
     "signature", "token", "session", "apikey", "cert")
)  # fmt: skip
_URLS = frozenset(("referer", "referrer", "location", "x-original-url", "x-envoy-original-path", "x-forwarded-uri", "x-rewrite-url"))


def header_fault(name: str) -> str | None:
    """Why a header is not logged; None if it may be."""
    if _CREDENTIALS & set(name.replace("_", "-").split("-")):
        return "a header of that name may hold a credential, which belongs into no log"
    if name in _URLS:
        return "that header holds a URL, whose query may hold a credential, which belongs into no log"
    return None
