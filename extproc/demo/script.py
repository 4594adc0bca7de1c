"""How the demo provider is told to misbehave, in the request itself.

By headers, `x-demo-<knob>: <value>` (an empty value for a flag), or, since a gateway may take headers off, by directives in the last
user message (or the input of an embedding), which are left out of the echo:

    [demo: knob=value knob ...]             obeyed by every endpoint
    [demo@anthropic: knob=value ...]        obeyed by that dialect's endpoint alone (`openai`, `anthropic`)

Knobs are separated by white space or commas; the later one wins, and headers win over directives. An unknown knob, or a value that
does not fit, is answered 400, so that a misspelt test does not pass by chance. A knob that stands alone takes the value in `ALONE`.
"Events" are those of the stream, counted from the first; a body that is not streamed has no parts to count, so `break`, `close` and
`silent` stop half-way through it (0: before it), and `gap`, `chunks`, `error`, `comments`, `crlf` and `cut` mean nothing to it.

| knob | what happens |
|---|---|
| `delay=S` | S seconds before the response headers |
| `gap=S` | S seconds after each event |
| `chunks=N` | the text comes in N pieces, instead of one a token |
| `tokens=N` | the text has exactly N tokens (fewer if the request's own limit is lower) |
| `status=N` | fails with that status, in the dialect's error form |
| `html` | the error body is a load balancer's HTML page instead |
| `retry-after=S` | that response header, in whole seconds |
| `content-type=T` | that content type, whatever the body is |
| `stop=length`, `stop=filter` | half of the text and the stop reason for it |
| `cached=N` | N of the input tokens are reported as read from the cache |
| `no-usage` | no usage is reported |
| `answered=NAME` | the model's name in the answer (otherwise that of the request) |
| `reset` | the connection is cut before the response headers |
| `hang` | nothing is ever sent (`FOREVER` at most) |
| `break=N` | the connection is cut after N events; half-way through a body that is not streamed |
| `break-before-first` | `break=0`: the headers, then the cut |
| `close=N` | like `break`, but the stream ends properly for HTTP; only its own end is missing |
| `silent=N` | nothing more is sent after N events, nor is the connection closed |
| `error=N` | an error event after N events, then the end |
| `malformed=N` | the N-th event is not JSON; a body that is not streamed is not JSON either |
| `comments` | an SSE comment before each event |
| `crlf` | lines of the stream end with CR LF |
| `cut=N` | the stream is written N bytes at a time, whatever the events' bounds |
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

FOREVER = 600.0
"""Seconds. What the demo provider calls forever."""

Seconds = Annotated[float, Meta(ge=0, le=FOREVER)]
Events = Annotated[int, Meta(ge=0)]

ALONE = {"break": "1", "close": "1", "silent": "0", "error": "1", "malformed": "1"}
"""What a knob without a value means, where it is not simply `true`."""

_DIRECTIVE = re.compile(r"\[demo(?:@(\w+))?:([^\]]{0,1000})\]")
_HEADER = "x-demo-"


class Script(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What to do wrong, and when. The table above says what each field does."""

    delay: Seconds = 0.0
    gap: Seconds = 0.0
    chunks: Annotated[int, Meta(ge=1)] | None = None
    tokens: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    html: bool = False
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    content_type: str | None = None
    stop: Literal["length", "filter"] | None = None
    cached: Annotated[int, Meta(ge=0)] = 0
    no_usage: bool = False
    answered: str | None = None
    reset: bool = False
    hang: bool = False
    break_: Events | None = msgspec.field(default=None, name="break")
    close: Events | None = None
    silent: Events | None = None
    error: Events | None = None
    malformed: Annotated[int, Meta(ge=1)] | None = None
    comments: bool = False
    crlf: bool = False
    cut: Annotated[int, Meta(ge=1)] | None = None


def read_script(headers: Iterable[tuple[str, str]], text: str, dialect: str) -> Script:
    """What this request asks for. Raises `ValueError`, in words for the caller, if it makes no sense."""
    knobs: dict[str, str] = {}
    for scope, settings in _DIRECTIVE.findall(text):
        if scope in ("", dialect):
            for setting in re.split(r"[\s,]+", settings.strip()):
                name, _, value = setting.partition("=")
                _set(knobs, name, value)
    for header, value in headers:
        if header.lower().startswith(_HEADER):
            _set(knobs, header.lower().removeprefix(_HEADER), value.strip())
    try:
        return msgspec.convert(knobs, Script, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Script.__struct_encode_fields__)
        raise ValueError(f"demo directive: {error}; the knobs are: {known}") from None


def without_directives(text: str) -> str:
    """The text as its reader is meant to see it."""
    return _DIRECTIVE.sub("", text).strip() if "[demo" in text else text.strip()


def _set(knobs: dict[str, str], name: str, value: str) -> None:
    if name == "break-before-first":
        name, value = "break", "0"
    if name:
        knobs[name] = value or ALONE.get(name, "true")
