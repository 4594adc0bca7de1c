"""Every recorded exchange, through its own dialect and through the other one."""

import copy
import json
from typing import Any

import anthropic
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Error
from extproc.dialects.sse import Splitter
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.framed import raw_events
from tests.dialects.traffic import (
    ALL,
    ANSWERS,
    FAILED_STREAMS,
    MODEL,
    OTHER,
    STREAMS,
    TRANSLATED,
    Exchange,
    data,
    hub_events,
    name,
    rewrite,
)
from tests.examples import examples

PAIR = ("openai", "anthropic")
"""Those whose own sums and errors are read here; the others have a file each."""

STOPS = {
    "stop": {"end_turn", "stop_sequence", "refusal", "tool_use"},
    "length": {"max_tokens"},
    "tool_calls": {"tool_use"},
    "content_filter": {"refusal"},
    "end_turn": {"stop"},
    "stop_sequence": {"stop"},
    "max_tokens": {"length"},
    "tool_use": {"tool_calls"},
    "pause_turn": {"stop"},
    "refusal": {"content_filter"},
    "model_context_window_exceeded": {"length"},
}


@cases("exchange", TRANSLATED, ids=name)
def test_a_request_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    before = copy.deepcopy(exchange.request)
    dialect = DIALECTS[exchange.dialect]
    conversation = dialect.read_request(exchange.request)
    assert dialect.write_request(conversation, exchange.request["model"]) == exchange.sent
    assert conversation.dropped == []
    assert exchange.request == before, "reading changed what was read"


@cases("exchange", ANSWERS, ids=name)
def test_an_answer_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    dialect = DIALECTS[exchange.dialect]
    assert dialect.write_answer(dialect.read_answer(exchange.answer)) == exchange.answer


@pytest.mark.parametrize("exchange", [e for e in STREAMS if e.dialect in PAIR], ids=name)
def test_a_stream_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    written = rewrite(exchange.dialect, exchange.dialect, stream)
    if exchange.dialect == "openai":
        assert _sum(data(written)) == _sum(data(stream))
        assert written.endswith(b"data: [DONE]\n\n")
    else:
        assert data(written) == data(stream)


def _sum(chunks: list[Any]) -> Any:
    """What OpenAI's chunks add up to. How it was cut into chunks, random padding (`obfuscation`) and empty fields mean nothing; what all
    chunks repeat (`id`, `created`) is what the first one says, though some providers do not repeat it.
    """
    whole: dict[str, Any] = {"choices": {}}
    for chunk in chunks:
        if groq := chunk.pop("x_groq", None):
            chunk["usage"] = groq.get("usage") or chunk.get("usage")
        for choice in chunk.get("choices", ()):
            state = whole["choices"].setdefault(choice["index"], {"role": "assistant", "tool_calls": {}, "logprobs": []})
            _add(state, choice["delta"])
            state["finish_reason"] = choice.get("finish_reason") or state.get("finish_reason")
            state["logprobs"] += (choice.get("logprobs") or {}).get("content") or []
        whole |= {key: chunk[key] for key in chunk if key not in ("choices", "obfuscation", *_REPEATED) and chunk[key]}
        whole = {key: chunk[key] for key in _REPEATED if chunk.get(key)} | whole
    return whole


_REPEATED = ("id", "created", "model", "provider", "system_fingerprint")


def _add(state: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for call in value or ():
                known = state["tool_calls"].setdefault(call.get("index", 0), {"arguments": ""})
                known |= {name: call[name] for name in call if name != "function"}
                known["arguments"] += call["function"].get("arguments") or ""
                known["name"] = call["function"].get("name") or known.get("name")
        elif key == "reasoning_details":  # their text is told in `reasoning`, too
            state[key] = [{name: entry[name] for name in entry if name != "text"} for entry in value or ()] or state.get(key)
        elif key == "content":
            _content(state, value)
        elif isinstance(value, str) and key != "role":
            state[key] = state.get(key, "") + value
        elif value:
            state[key] = value


def _content(state: dict[str, Any], content: Any) -> None:
    """Mistral's parts: a text says the same as a string."""
    parts: list[dict[str, Any]] = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    for part in parts:
        kind = part["type"]
        if kind in ("text", "thinking"):
            text = part["text"] if kind == "text" else "".join(inner["text"] for inner in part["thinking"])
            state[kind] = state.get(kind, "") + text
        else:
            state.setdefault("parts", []).append(part)


@cases("exchange", [e for e in TRANSLATED if e.dialect in OTHER], ids=name)
def test_a_request_reaches_the_other_dialect(exchange: Exchange) -> None:
    there, back = DIALECTS[OTHER[exchange.dialect]], DIALECTS[exchange.dialect]
    conversation = back.read_request(exchange.request)
    body = there.write_request(conversation, MODEL[there.name])
    json.dumps(body)
    assert body["model"] == MODEL[there.name]
    if there.name == "anthropic":
        _check_turns(body)
    # Whatever a user or an assistant said is still there.
    again = json.dumps(body, ensure_ascii=False)
    for message in exchange.request["messages"]:
        for text in _texts(message.get("content")):
            assert json.dumps(text.rstrip(), ensure_ascii=False)[1:-1] in again
    there.read_request(body)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if part["type"] == "text"]


def _check_turns(body: Any) -> None:
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user" if i % 2 == 0 else "assistant" for i in range(len(roles))]
    assert body["max_tokens"] >= 1
    called: set[str] = set()
    for message in body["messages"]:
        assert message["content"]
        results = {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}
        assert results == called
        called = {block["id"] for block in message["content"] if block["type"] == "tool_use"}


@cases("exchange", [e for e in ANSWERS if e.dialect == "openai"], ids=name)
def test_an_openai_answer_reaches_anthropics_sdk(exchange: Exchange) -> None:
    message = sdk.anthropic_answer(DIALECTS["anthropic"].write_answer(DIALECTS["openai"].read_answer(exchange.answer)))
    choice = exchange.answer["choices"][0]
    assert "".join(block.text for block in message.content if block.type == "text") == (choice["message"].get("content") or "")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert calls == _openai_calls(choice["message"])
    assert all(block.id for block in message.content if block.type == "tool_use")
    assert message.stop_reason in STOPS[choice["finish_reason"]]
    assert (message.stop_reason == "tool_use") == bool(calls)
    _same_usage(_sum_anthropic(message.usage), exchange.answer["usage"])


@cases("exchange", [e for e in ANSWERS if e.dialect == "anthropic"], ids=name)
def test_an_anthropic_answer_reaches_openais_sdk(exchange: Exchange) -> None:
    completion = sdk.openai_answer(DIALECTS["openai"].write_answer(DIALECTS["anthropic"].read_answer(exchange.answer)))
    blocks = exchange.answer["content"]
    (choice,) = completion.choices
    assert (choice.message.content or "") == "".join(block["text"] for block in blocks if block["type"] == "text")
    called = [call for call in choice.message.tool_calls or () if call.type == "function"]
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in called]
    assert calls == [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert choice.finish_reason in STOPS[exchange.answer["stop_reason"]]
    thoughts = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    assert getattr(choice.message, "reasoning_content", "") == thoughts
    assert completion.usage is not None
    _same_usage(completion.usage.model_dump(), _as_openai(exchange.answer["usage"]))


def _openai_calls(message: Any) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"].get("arguments") or "{}")) for call in message.get("tool_calls") or ()]


def _sum_anthropic(usage: Any) -> Any:
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    total = {"prompt_tokens": usage.input_tokens + read + written, "completion_tokens": usage.output_tokens}
    return total | {"prompt_tokens_details": {"cached_tokens": read}}


def _as_openai(usage: Any) -> Any:
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    total = {"prompt_tokens": usage["input_tokens"] + read + written, "completion_tokens": usage["output_tokens"]}
    return total | {"prompt_tokens_details": {"cached_tokens": read}}


def _same_usage(got: Any, recorded: Any) -> None:
    for field in ("prompt_tokens", "completion_tokens"):
        assert got[field] == recorded[field]
    details = recorded.get("prompt_tokens_details") or {}
    assert got["prompt_tokens_details"]["cached_tokens"] == (details.get("cached_tokens") or 0)


@pytest.mark.parametrize("exchange", [e for e in STREAMS if e.dialect == "openai"], ids=name)
def test_an_openai_stream_reaches_anthropics_sdk(exchange: Exchange) -> None:
    message, events = sdk.anthropic_stream(rewrite("openai", "anthropic", exchange.text.encode()))
    text, calls, stop, usage = _openai_state(data(exchange.text.encode()))
    assert events[0].type == "message_start"
    assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]
    assert "".join(block.text for block in message.content if block.type == "text") == text
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == calls
    assert message.stop_reason in STOPS[stop]
    if usage:
        _same_usage(_sum_anthropic(message.usage), usage)


@pytest.mark.parametrize("exchange", [e for e in STREAMS if e.dialect == "anthropic"], ids=name)
def test_an_anthropic_stream_reaches_openais_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    chunks = sdk.openai_stream(rewrite("anthropic", "openai", stream))
    blocks, stop, usage = _anthropic_state(data(stream))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    _same_usage(chunks[-1].usage.model_dump(), _as_openai(usage))
    text, calls, finish, _ = _openai_state([chunk.model_dump(exclude_unset=True) for chunk in chunks])
    assert text == "".join(block["text"] for block in blocks if block["type"] == "text")
    assert calls == [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert finish in STOPS[stop]
    without = data(rewrite("anthropic", "openai", stream, include_usage=False))
    assert not any("usage" in chunk for chunk in without)


def _openai_state(chunks: list[Any]) -> tuple[str, list[tuple[str, Any]], str, Any]:
    text, stop, usage = "", "", None
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            said: dict[str, Any] = {}
            _content(said, delta.get("content"))
            text += said.get("text", "")
            stop = choice.get("finish_reason") or stop
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
    return text, [(known[0], json.loads(known[1])) for known in calls.values()], stop, usage


def _anthropic_state(events: list[Any]) -> tuple[list[Any], str, Any]:
    blocks: list[Any] = []
    pieces: dict[int, str] = {}
    usage: dict[str, Any] = {}
    stop = ""
    for event in events:
        match event["type"]:
            case "message_start":
                usage |= event["message"]["usage"]
            case "content_block_start":
                blocks.append(event["content_block"])
            case "content_block_delta":
                delta, block = event["delta"], blocks[event["index"]]
                if delta["type"] == "text_delta":
                    block["text"] += delta["text"]
                elif delta["type"] == "input_json_delta":
                    pieces[event["index"]] = pieces.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                usage |= {key: value for key, value in event["usage"].items() if value is not None}
                stop = event["delta"]["stop_reason"]
    for index, piece in pieces.items():
        blocks[index]["input"] = json.loads(piece or "{}")
    return blocks, stop, usage


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
@settings(max_examples=examples(15), deadline=None)
@given(draw=st.data())
def test_where_a_stream_is_cut_does_not_matter(exchange: Exchange, draw: st.DataObject) -> None:
    stream = exchange.text.encode()
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=60))
    assert hub_events(exchange.dialect, stream, cuts) == hub_events(exchange.dialect, stream)
    # Line ends, too: in CRLF, cut between CR and LF.
    crlf = stream.replace(b"\n", b"\r\n")
    at = [i + 1 for i, byte in enumerate(crlf) if byte == 13][::7]
    assert hub_events(exchange.dialect, crlf, at) == hub_events(exchange.dialect, stream)


@cases(
    "exchange", [e for e in ALL if e.dialect in ("", "responses", *PAIR) and e.status == 200 and (e.answer or {}).get("usage")], ids=name
)
def test_usage_of_an_answer_that_passes_through(exchange: Exchange) -> None:
    recorded = exchange.answer["usage"]
    dialect = DIALECTS[exchange.dialect or "openai"]
    usage, model = dialect.usage(json.dumps(exchange.answer).encode())
    assert usage is not None
    assert model == exchange.answer.get("model", "")
    if dialect.name == "anthropic":
        assert usage.input == _as_openai(recorded)["prompt_tokens"]
        assert usage.cache_write == recorded["cache_creation_input_tokens"]
        assert usage.output == recorded["output_tokens"]
    else:
        assert usage.input == recorded.get("prompt_tokens", recorded.get("input_tokens"))
        assert usage.output == recorded.get("completion_tokens", recorded.get("output_tokens"))
    if exchange.dialect:
        assert dialect.read_answer(exchange.answer).usage == usage


@pytest.mark.parametrize("exchange", [e for e in STREAMS if e.dialect in PAIR], ids=name)
def test_usage_of_a_stream_that_passes_through(exchange: Exchange) -> None:
    dialect, stream = DIALECTS[exchange.dialect], exchange.text.encode()
    watch = dialect.stream_usage()
    for event in Splitter().feed(stream):
        watch.feed(event)
    _, _, _, recorded = (
        _openai_state(data(stream)) if dialect.name == "openai" else ("", "", "", _as_openai(_anthropic_state(data(stream))[2]))
    )
    assert (watch.usage is None) == (recorded is None)
    if recorded:
        assert isinstance(watch.usage, Usage)
        assert (watch.usage.input, watch.usage.output) == (recorded["prompt_tokens"], recorded["completion_tokens"])
    assert watch.finished
    assert watch.model
    assert watch.text > 0


@pytest.mark.parametrize("exchange", [e for e in ALL if e.url.endswith("/count_tokens")], ids=name)
def test_counting_tokens_uses_none(exchange: Exchange) -> None:
    assert DIALECTS["anthropic"].usage(json.dumps(exchange.answer).encode()) == (None, "")


@pytest.mark.parametrize("exchange", [e for e in TRANSLATED if e.dialect in PAIR and e.status >= 400], ids=name)
def test_errors_are_told_in_the_other_dialect(exchange: Exchange) -> None:
    body = json.dumps(exchange.answer).encode()
    fault = DIALECTS[exchange.dialect].read_error(exchange.status, body)
    recorded = exchange.answer["error"]
    assert (fault.status, fault.message) == (exchange.status, recorded["message"])
    told = DIALECTS[OTHER[exchange.dialect]].write_error(fault, "req_1")
    assert told["error"]["message"] == recorded["message"]
    own = DIALECTS[exchange.dialect].write_error(fault, "req_1")["error"]
    assert own["message"] == recorded["message"]
    assert own["type"] == recorded.get("type", own["type"])


@pytest.mark.parametrize("exchange", FAILED_STREAMS, ids=name)
def test_a_stream_that_fails_is_told_to_have_failed(exchange: Exchange) -> None:
    recorded = data(exchange.text.encode())[-1]["error"]
    events = hub_events(exchange.dialect, exchange.text.encode())
    assert isinstance(events[-1], Error)
    assert (events[-1].fault.status, events[-1].fault.code) == (recorded["status_code"], recorded["code"])
    for target in DIALECTS:
        told = rewrite(exchange.dialect, target, exchange.text.encode())
        said = [event.data for event in raw_events(DIALECTS[target].framing, told) if event.data != b"[DONE]"]
        assert recorded["message"] in str(msgspec.json.decode(said[-1]))
    with pytest.raises(anthropic.APIStatusError):
        sdk.anthropic_stream(rewrite(exchange.dialect, "anthropic", exchange.text.encode()))
