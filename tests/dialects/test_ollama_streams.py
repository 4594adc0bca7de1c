"""Ollama's streams: how they break, how calls are written, and what is counted of those that pass."""

import json
from typing import Any

import ollama
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Error, Extra, Reasoning
from extproc.errors import Fault
from extproc.usage import Usage
from tests.dialects import sdk
from tests.dialects.said import by_events
from tests.dialects.test_ollama import OWN_STREAMS, said_by_all
from tests.dialects.traffic import Exchange, hub_events, name, rewrite

OLLAMA, ANTHROPIC = DIALECTS["ollama"], DIALECTS["anthropic"]


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


HEAD = {"model": "m", "created_at": "2025-07-07T20:22:19Z"}
PIECE = {**HEAD, "message": {"role": "assistant", "content": "x"}, "done": False}
BROKEN = {
    "cut off": lines(PIECE),
    "not JSON": lines(PIECE) + b"{nope\n",
    "wrong type": lines({**HEAD, "message": {"content": 5}, "done": False}),
    "an error": lines(PIECE, {"error": "an error was encountered while running the model"}),
    "nothing at all": b"",
    "half a line": lines(PIECE) + lines({**HEAD, "done": True})[:-9],
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_an_error(stream: bytes) -> None:
    *_, last = hub_events("ollama", stream)
    assert isinstance(last, Error) and last.fault.status >= 500
    written = rewrite("ollama", "ollama", stream)
    assert b'"done":true' not in written
    with pytest.raises(ollama.ResponseError) as failed:
        sdk.ollama_stream(written)
    assert failed.value.error == last.fault.message


def test_a_stream_without_its_last_line_end() -> None:
    assert isinstance(
        hub_events("ollama", lines(PIECE, {**HEAD, "done": True}).rstrip())[-1], type(hub_events("ollama", lines({"done": True}))[-1])
    )
    assert said_by_all(sdk.ollama_stream(rewrite("ollama", "ollama", lines(PIECE, {"done": True})))).text == "x"


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values) + b"data: [DONE]\n\n"


def chunk(delta: Any, finish: str | None = None) -> Any:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int, arguments: str, named: str = "") -> Any:
    head = {"id": f"id-{named}", "type": "function"} if named else {}
    function = {"arguments": arguments} | ({"name": named} if named else {})
    return chunk({"tool_calls": [{"index": index, **head, "function": function}]})


def test_calls_are_written_when_they_are_whole_and_in_order() -> None:
    events = hub_events(
        "openai",
        sse(call(0, "", "f"), call(1, "{}", "g"), call(0, '{"x"'), chunk({"content": "So"}), call(0, ":1}"), chunk({}, "tool_calls")),
    )
    writer = OLLAMA.stream_writer(include_usage=False)
    written = [json.loads(line)["message"] for event in events for line in writer.write(event).splitlines()]
    called = [[(one["function"]["name"], one["function"]["index"], one["id"]) for one in m.get("tool_calls", [])] for m in written]
    assert [one for one in called if one] == [[("f", 0, "id-f")], [("g", 1, "id-g")]]
    assert [m["content"] for m in written if m["content"]] == ["So"]


def test_a_call_is_written_as_soon_as_it_is_whole() -> None:
    events = hub_events("openai", sse(call(0, '{"x":1}', "f"), call(1, "{}", "g"), chunk({}, "tool_calls")))
    writer = OLLAMA.stream_writer(include_usage=False)
    before = b"".join(writer.write(event) for event in events[: next(i for i, e in enumerate(events) if getattr(e, "index", 0) == 1)])
    assert b'"f"' in before


def test_arguments_that_were_cut_off() -> None:
    stream = sse(call(0, '{"x": "so', "f"), chunk({}, "length"))
    (called,) = said_by_all(sdk.ollama_stream(rewrite("openai", "ollama", stream))).calls
    assert called == ("f", {"INVALID_JSON": '{"x": "so'})


def test_a_refusal_and_several_choices() -> None:
    stream = sse(chunk({"refusal": "No."}), {"choices": [{"index": 1, "delta": {"content": "b"}}]}, chunk({}, "stop"))
    writer = OLLAMA.stream_writer(include_usage=False)
    written = b"".join(map(writer.write, hub_events("openai", stream)))
    assert said_by_all(sdk.ollama_stream(written)).text == "No."


def test_redacted_reasoning_has_no_words() -> None:
    answer = ANTHROPIC.read_answer(
        {"id": "a", "model": "c", "content": [{"type": "redacted_thinking", "data": "x"}], "stop_reason": "end_turn"}
    )
    assert isinstance(answer.choices[0].blocks[0], Reasoning)
    assert OLLAMA.write_answer(answer)["message"] == {"role": "assistant", "content": ""}
    assert answer.dropped == ["blocks[].reasoning"]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_usage_of_a_stream(exchange: Exchange, later: bool) -> None:
    stream = exchange.text.encode()
    watch = OLLAMA.stream_usage()
    pieces = stream.splitlines(keepends=True)
    if later:
        watch.feed(pieces[0])
        watch.feed_later(pieces[1:-1])
        watch.feed(pieces[-1])
    else:
        assert [watch.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    said = by_events(hub_events("ollama", stream))
    assert watch.usage == Usage(input=said.input, output=said.output)
    assert (watch.finished, watch.model) == (True, exchange.request["model"])
    assert watch.text == len((said.text + said.reasoning).encode())
    assert watch.needle in pieces[-1] and not any(watch.needle in piece for piece in pieces[:-1])


def test_arguments_that_look_like_the_end() -> None:
    tricky = {**HEAD, "message": {"tool_calls": [{"function": {"name": "f", "arguments": {"done": True, "eval_count": 7}}}]}, "done": False}
    watch = OLLAMA.stream_usage()
    assert not watch.feed(lines(tricky))
    watch.feed_later([lines(tricky), lines(PIECE)])
    assert (watch.finished, watch.usage, watch.text) == (False, None, 1)


COUNTED: list[tuple[Extra, Usage | None]] = [
    ({"prompt_eval_count": 3, "eval_count": 4}, Usage(input=3, output=4)),
    ({"eval_count": 4}, Usage(output=4)),
    ({"prompt_eval_count": 3}, Usage(input=3)),
    ({"eval_count": "many"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("told", "usage"), COUNTED)
def test_usage_of_an_answer(told: Extra, usage: Usage | None) -> None:
    body = {"model": "m", "message": {"content": "x"}, "done": True, **told}
    assert OLLAMA.usage(json.dumps(body).encode())[0] == usage
    assert OLLAMA.read_answer(body).usage == usage


def test_an_error_of_ours_in_mid_stream() -> None:
    told = OLLAMA.stream_error(Fault(502, "bad_gateway", "gone"), "req_1")
    assert b"req_1" in told
    with pytest.raises(ollama.ResponseError, match="gone"):
        sdk.ollama_stream(lines(PIECE) + told)
