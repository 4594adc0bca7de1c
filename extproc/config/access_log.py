"""The section `access_log`: a line for each request, for people. The ledger keeps one of its own."""

from typing import Annotated, Literal, get_args

from msgspec import Meta

from extproc.config.section import Section
from extproc.crossing import looks_secret

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


_CREDENTIALS = frozenset(("assertion", "bearer", "cert", "certificate", "creds", "pwd"))
"""Words of a name, beside those that keep a header from a provider."""
_PROTOCOLS = "sec-websocket-protocol"
"""Where browsers have the key of a WebSocket."""
_COUNTS = "ratelimit"
"""In such headers providers say how many tokens are left."""
_URLS = frozenset(("destination", "link", "location", "path", "referer", "referrer", "uri", "url"))


def header_fault(name: str) -> str | None:
    """Why a header is not logged; None if it may be."""
    words = set(name.replace("_", "-").split("-"))
    if name == _PROTOCOLS or _CREDENTIALS & words or (looks_secret(name) and _COUNTS not in words):
        return "a header of that name may hold a credential, which belongs into no log"
    if _URLS & words:
        return "that header holds a URL, whose query may hold a credential, which belongs into no log"
    return None
