"""Whatever comes, from a client or a provider: only `Reject`, `ValueError` or an `Error` event comes out."""

import contextlib
import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect
from extproc.dialects.envelope import open_envelope
from extproc.dialects.eventstream import EVENT_STREAM, event
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import Error, Finish
from extproc.dialects.splice import include_usage, set_member
from extproc.dialects.sse import SSE
from extproc.errors import Reject
from tests.dialects import bedrock
from tests.dialects.framed import raw_events
from tests.dialects.traffic import ANSWERS, STREAMS, TRANSLATED
from tests.examples import examples

FUZZ = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "content",
        "user",
        "assistant",
        "tool",
        "system",
        "function",
        "name",
        "arguments",
        "id",
        "input",
        "tool_use",
        "tool_result",
        "source",
        "url",
        "base64",
        "data",
        "index",
        "delta",
        "choices",
        "message",
        "usage",
        "error",
        "stop_reason",
        "finish_reason",
        "image_url",
        "thinking",
        "signature",
        "citations",
        "annotations",
        "tools",
        "schema",
        "output",
        "item",
        "response",
        "output_index",
        "summary",
        "encrypted_content",
        "call_id",
        "parts",
        "inlineData",
        "file_data",
        "mimeType",
        "functionCall",
        "functionResponse",
        "args",
        "thoughtSignature",
        "generationConfig",
        "candidates",
        "groundingMetadata",
        "usageMetadata",
        "toolUse",
        "toolResult",
        "reasoningContent",
        "document",
        "bytes",
        "cachePoint",
        "contentBlockIndex",
        "stopReason",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXT, inner, max_size=5),
    max_leaves=12,
)
OBJECT = st.dictionaries(WORDS | TEXT, JSON, max_size=6)
DIALECT = st.sampled_from(list(DIALECTS.values()))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += _paths(child, (*path, key))
    return found


@st.composite
def mangled(draw: st.DrawFn, bodies: list[Any]) -> Any:
    """A recorded body in which up to three places hold something else, or nothing."""
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(body)
        if not paths:
            break
        *parents, last = draw(st.sampled_from(paths))
        place = body
        for key in parents:
            place = place[key]
        if isinstance(place, dict) and draw(st.booleans()):
            del place[last]
        else:
            place[last] = draw(JSON)
    return body


def bodies(dialect: str, what: str) -> list[Any]:
    if dialect == "bedrock":
        found = [e.request for e in bedrock.ALL] if what == "request" else [e.answer for e in bedrock.ANSWERS]
    elif what == "request":
        found = [e.request for e in TRANSLATED if e.dialect == dialect]
    else:
        found = [e.answer for e in ANSWERS if e.dialect == dialect]
    return [body for body in found if len(str(body)) < 20_000]


REQUESTS = {name: bodies(name, "request") for name in DIALECTS}
WHOLE = {name: bodies(name, "answer") for name in DIALECTS}
RECORDED = [(e.dialect, e.text.encode()) for e in STREAMS] + [("bedrock", e.stream) for e in bedrock.STREAMS]
EVENTS = {
    name: [one for kind, stream in RECORDED if kind == name for one in raw_events(DIALECTS[name].framing, stream)] for name in DIALECTS
}


def framed(dialect: Dialect, one: RawEvent) -> bytes:
    """An event as it stands in a stream."""
    if dialect.framing is EVENT_STREAM:
        return event(one.event, one.data)
    return b"data: " + one.data + b"\n\n" if dialect.framing is SSE else one.data + b"\n"


def _request(dialect: Dialect, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    for target in DIALECTS.values():
        try:
            conversation = dialect.read_request(body)
        except Reject as reject:
            _named(reject)
            return
        try:
            msgspec.json.encode(target.write_request(conversation, "claude-sonnet-4-5"))
        except Reject as reject:
            _named(reject)
        assert body == before, "reading or writing changed what was read"
        assert all(name.isascii() and name.isprintable() for name in conversation.dropped)


def _named(reject: Reject) -> None:
    assert reject.fault.status == 400
    assert reject.fault.param


def _answer(dialect: Dialect, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    for target in DIALECTS.values():
        try:
            answer = dialect.read_answer(body)
        except ValueError:
            return
        msgspec.json.encode(target.write_answer(answer))
        assert body == before, "reading or writing changed what was read"


def _stream(dialect: Dialect, events: list[RawEvent]) -> None:
    for target in DIALECTS.values():
        reader, writer = dialect.stream_reader(), target.stream_writer(include_usage=True)
        seen = [hub for event in events for hub in reader.feed(event)] + reader.end()
        assert isinstance(seen[-1], Error | Finish)
        assert sum(isinstance(hub, Error | Finish) for hub in seen) == 1
        written = b"".join(writer.write(hub) for hub in seen) + writer.end()
        assert reader.feed(RawEvent("", b"{}")) == []
        assert writer.end() == b""
        raw_events(target.framing, written)


@FUZZ
@given(dialect=DIALECT, body=OBJECT)
def test_any_request(dialect: Dialect, body: dict[str, Any]) -> None:
    _request(dialect, {"model": "m", "messages": [body], "contents": [body], **body})
    _request(dialect, body)


@pytest.mark.parametrize("name", DIALECTS)
@FUZZ
@given(draw=st.data())
def test_mangled_requests(name: str, draw: st.DataObject) -> None:
    body = draw.draw(mangled(REQUESTS[name]))
    _request(DIALECTS[name], body)


@FUZZ
@given(dialect=DIALECT, body=OBJECT)
def test_any_answer(dialect: Dialect, body: dict[str, Any]) -> None:
    _answer(dialect, body)
    dialect.usage(msgspec.json.encode(body))


@pytest.mark.parametrize("name", DIALECTS)
@FUZZ
@given(draw=st.data())
def test_mangled_answers(name: str, draw: st.DataObject) -> None:
    body = draw.draw(mangled(WHOLE[name]))
    _answer(DIALECTS[name], body)
    DIALECTS[name].usage(msgspec.json.encode(body))


@FUZZ
@given(dialect=DIALECT, events=st.lists(OBJECT, max_size=4))
def test_any_events(dialect: Dialect, events: list[Any]) -> None:
    _stream(dialect, [RawEvent("", msgspec.json.encode(event)) for event in events])


@pytest.mark.parametrize("name", DIALECTS)
@FUZZ
@given(draw=st.data())
def test_mangled_streams(name: str, draw: st.DataObject) -> None:
    """Recorded events, some left out, some told twice, one changed inside."""
    given_events = draw.draw(st.lists(st.sampled_from(EVENTS[name]), min_size=1, max_size=12))
    known = [one for one in given_events if one.data.startswith(b"{")]
    if known:
        kind = draw.draw(st.sampled_from(known)).event
        changed = draw.draw(mangled([msgspec.json.decode(one.data) for one in known if one.event == kind]))
        given_events.append(RawEvent(kind, msgspec.json.encode(changed)))
    events = draw.draw(st.permutations(given_events))
    _stream(DIALECTS[name], events)
    watch = DIALECTS[name].stream_usage()
    for one in events:
        watch.feed(framed(DIALECTS[name], one))
        DIALECTS[name].is_usage_only(framed(DIALECTS[name], one))


@FUZZ
@given(dialect=DIALECT, junk=st.binary(max_size=60), status=st.integers(400, 599))
def test_any_bytes(dialect: Dialect, junk: bytes, status: int) -> None:
    _stream(dialect, [RawEvent("", junk)])
    dialect.usage(junk)
    dialect.is_usage_only(junk)
    watch = dialect.stream_usage()
    for block in dialect.framing.splitter().feed(junk + b"\n\n"):
        watch.feed(block)
    fault = dialect.read_error(status, junk)
    assert fault.message
    for target in DIALECTS.values():
        msgspec.json.encode(target.write_error(fault, "req_1"))
    for refuse in (open_envelope, include_usage, lambda body: set_member(body, "model", b'"m"')):
        with contextlib.suppress(Reject, ValueError):
            refuse(junk)


@FUZZ
@given(dialect=DIALECT, value=JSON, status=st.integers(400, 599))
def test_any_error(dialect: Dialect, value: Any, status: int) -> None:
    for body in (value, {"error": value}):
        fault = dialect.read_error(status, msgspec.json.encode(body))
        assert fault.message and fault.code
        assert 400 <= fault.status < 600


DEEP = b"[" * 50_000


@pytest.mark.parametrize("name", DIALECTS)
def test_nesting_without_end(name: str) -> None:
    dialect = DIALECTS[name]
    (event,) = dialect.stream_reader().feed(RawEvent("", DEEP))
    assert isinstance(event, Error)
    assert dialect.usage(b'{"usage":' + DEEP) == (None, "")
    assert dialect.read_error(500, DEEP).status == 500
    schema: dict[str, Any] = {}
    for _ in range(900):
        schema = {"type": "object", "properties": {"a": schema}}
    tool = {"name": "f", "parameters": schema, "input_schema": schema, "strict": True}
    plain = {"type": "function", "function": tool}
    tools = {
        "anthropic": tool,
        "responses": {"type": "function", **tool},
        "gemini": {"functionDeclarations": [{"name": "f", "parameters": schema}]},
    }
    said = {"messages": [{"role": "user", "content": "x"}], "input": "x"}
    body = {"model": "m", "max_tokens": 1, **said, "contents": [{"parts": [{"text": "x"}]}], "tools": [tools.get(name, plain)]}
    if name == "bedrock":
        body["messages"] = [{"role": "user", "content": [{"text": "x"}]}]
        body["toolConfig"] = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": schema}, "strict": True}}]}
    for target in DIALECTS.values():
        target.write_request(dialect.read_request(body), "claude-sonnet-4-5")
    with pytest.raises(Reject):
        open_envelope(b'{"model":' + DEEP)
