"""No provider answer, however mangled, crashes us or leaves a client without an end: it becomes an answer, or an error of its dialect,
and is logged once with what was wrong.
"""

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any, Self

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.answering import choose
from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import EVENT_STREAM
from extproc.dialects.framing import split
from extproc.dialects.hub import Error
from tests.dialects.framed import raw_events
from tests.dialects.test_fuzz import RECORDED, WHOLE, framed, mangled
from tests.test_answering import terms

FUZZ = settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

HUGE = ("1e999", "-1", str(2**63), str(10**30), "1e-400", "0.1", "true", "null", '"NaN"', "[]", "{}")
"""What a number may turn out to be, as JSON."""

OWN_WORDS = "boom"
"""What a provider says of its own error."""

BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: b"",
    "white space": lambda body: b" \r\n",
    "cut off": lambda body: body[: len(body) // 2],
    "all but the last byte": lambda body: body[:-1],
    "twice": lambda body: body + body,
    "not UTF-8": lambda body: body.replace(b"e", b"\xff\xfe", 3),
    "cut within a character": lambda body: "ü".encode()[:1] + body,
    "NUL": lambda body: body.replace(b"a", b"\x00", 5),
    "nested": lambda body: b'{"choices":' + b"[" * 100_000 + body,
    "packed, and nobody said so": gzip.compress,
    "a page": lambda body: b"<html><body>Sign in to the network</body></html>",
    "a string": lambda body: json.dumps(body.decode(errors="replace")).encode(),
    "a list": lambda body: b"[" + body + b"]",
    "lone surrogates": lambda body: body.replace(b'":"', b'":"\\ud800', 3),
    "an error with status 200": lambda body: json.dumps({"error": {"message": OWN_WORDS, "type": "server_error", "code": 500}}).encode(),
    "after a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
}
"""What may become of a body."""


def number(data: st.DataObject, body: bytes) -> bytes:
    """A body in which one number is another thing."""
    at = [i for i in range(1, len(body)) if body[i : i + 1].isdigit() and body[i - 1 : i] in b":,[ "]
    if not at:
        return body
    begin = end = data.draw(st.sampled_from(at))
    while end < len(body) and body[end : end + 1] in b"0123456789.eE+-":
        end += 1
    return body[:begin] + data.draw(st.sampled_from(HUGE)).encode() + body[end:]


class Told(logging.Handler):
    """What is logged of answers while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("extproc.answering").addHandler(self)
        return self

    def __exit__(self, *ignored: object) -> None:
        logging.getLogger("extproc.answering").removeHandler(self)


def read(kind: str, chunks: list[bytes], client: str, provider: str) -> tuple[int, bytes]:
    """Status and all that the client gets. What is an error is logged, once, with the request's id."""
    with Told() as told:
        answering = choose(200, {"content-type": kind}, terms(client, provider, include_usage=True))
        out = b"".join([piece for chunk in chunks for piece in answering.feed(chunk, False)] + answering.feed(b"", True))
    assert len(told.lines) == (failed(client, out) if answering.stream else answering.status != 200), (client, told.lines, out[-2000:])
    assert all("r-1" in line and len(line) < 300 for line in told.lines)
    return answering.status, out


def is_error(dialect: str, body: bytes) -> bool:
    """Whether that is an error as the dialect writes it."""
    fault = DIALECTS[dialect].read_error(502, body)
    return type(msgspec.json.decode(body)) is dict and "bad_provider_answer" not in fault.message and bool(fault.message)


def ended(client: str, stream: bytes) -> bool:
    """Whether a client knows that the stream is over, by its answer's end or by an error."""
    reader = DIALECTS[client].stream_reader()
    seen = [part for event in raw_events(DIALECTS[client].framing, stream) for part in reader.feed(event)]
    # What its own reader finds wrong does not stand in the stream.
    told = all(msgspec.json.encode(part.fault.message)[1:-1] in stream for part in seen if isinstance(part, Error))
    # A stream that has neither owes an error at its end.
    return told and not any(isinstance(part, Error) for part in reader.end())


def failed(client: str, stream: bytes) -> bool:
    """Whether a client is told an error in the stream."""
    reader = DIALECTS[client].stream_reader()
    return any(isinstance(part, Error) for event in raw_events(DIALECTS[client].framing, stream) for part in reader.feed(event))


SECRET = "what the caller said"


@pytest.mark.parametrize("provider", DIALECTS)
def test_what_is_logged_holds_nothing_of_what_was_said(provider: str) -> None:
    client = "openai" if provider != "openai" else "anthropic"
    fields = ("choices", "content", "output", "candidates", "message", "error", "status", SECRET)
    wrong: dict[str, Any] = dict.fromkeys(fields, SECRET)
    bodies = [wrong, SECRET, {"error": {"message": SECRET, "code": SECRET}, "status": "failed"}, {"error": SECRET}]
    for body in map(msgspec.json.encode, bodies):
        for kind in ("application/json", "text/html", DIALECTS[provider].framing.content_type):
            with Told() as told:
                answering = choose(200, {"content-type": kind}, terms(client, provider))
                answering.feed(body, False)
                answering.feed(b"", True)
            assert SECRET not in "".join(told.lines)
            assert len(told.lines) == 1


@pytest.mark.parametrize("provider", DIALECTS)
@FUZZ
@given(data=st.data())
def test_whole_answers(provider: str, data: st.DataObject) -> None:
    body = msgspec.json.encode(data.draw(mangled(WHOLE[provider]) | st.sampled_from(WHOLE[provider])))
    how = data.draw(st.sampled_from(["as it is", "a number", *BREAKS]))
    body = number(data, body) if how == "a number" else BREAKS[how](body) if how in BREAKS else body
    for client in DIALECTS:
        if client == provider:
            continue
        status, out = read("application/json", [body], client, provider)
        if status != 200:
            assert is_error(client, out)
        else:
            DIALECTS[client].read_answer(msgspec.json.decode(out))


@pytest.mark.parametrize("provider", DIALECTS)
@FUZZ
@given(data=st.data())
def test_streams(provider: str, data: st.DataObject) -> None:
    framing = DIALECTS[provider].framing
    stream = data.draw(st.sampled_from([stream for kind, stream in RECORDED if kind == provider and len(stream) < 60_000]))
    events = split(framing, stream)
    match data.draw(st.integers(0, 6)):
        case 0:
            events = data.draw(st.lists(st.sampled_from(events), max_size=30))
        case 1:
            at = data.draw(st.integers(0, len(events) - 1))
            events[at] = BREAKS[data.draw(st.sampled_from(sorted(BREAKS)))](events[at])
        case 2:
            at = data.draw(st.integers(0, len(events) - 1))
            events[at] = number(data, events[at])
        case 3:
            events = [BREAKS[data.draw(st.sampled_from(sorted(BREAKS)))](stream)]
        case 4:
            events = [event.rstrip(b"\r\n") for event in events] if framing is not EVENT_STREAM else events[::-1]
        case 5:
            known = [event for raw in events if (event := framing.parse(raw)) is not None and event.data.startswith(b"{")]
            event = data.draw(st.sampled_from(known))
            changed = event._replace(data=msgspec.json.encode(data.draw(mangled([msgspec.json.decode(event.data)]))))
            events.insert(data.draw(st.integers(0, len(events))), framed(DIALECTS[provider], changed))
        case _:
            events += events[-3:]
    for client in DIALECTS:
        if client == provider:
            continue
        _, out = read(framing.content_type, events, client, provider)
        assert ended(client, out), (client, out[-2000:])
