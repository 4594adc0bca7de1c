"""What OpenAI's dialect has words for besides the common: how it is read, how it is written for others, how it comes back."""

import copy
import json
from typing import Any

import msgspec
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    Audio,
    BlockStart,
    BlockStop,
    Choice,
    Conversation,
    Finish,
    Image,
    Logprob,
    Message,
    Reasoning,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    Video,
)
from extproc.dialects.quirks import Quirks
from extproc.dialects.seals import unpack
from tests.dialects import sdk
from tests.dialects.traffic import data, hub_events, rewrite

OPENAI = DIALECTS["openai"]
GOOGLE = "google-gemini-v1"
USER = {"role": "user", "content": "Hi"}


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER], **fields}


def answered(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop", "logprobs": None}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def streamed(*deltas: dict[str, Any], **choice: Any) -> bytes:
    chunks = [{"index": 0, "delta": delta, "finish_reason": None, **choice} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [b"data: " + json.dumps({**head, "choices": [chunk]}).encode() + b"\n\n" for chunk in chunks]
    return b"".join([*events, b"data: [DONE]\n\n"])


def foreign(*events: StreamEvent) -> list[Any]:
    """The chunks of another dialect's stream."""
    writer = OPENAI.stream_writer(include_usage=False)
    whole: list[StreamEvent] = [Start(id="c1", model="m", dialect="other"), *events, Stop(reason=StopReason.END), Finish()]
    written = b"".join(writer.write(event) for event in whole)
    sdk.openai_stream(written)
    return data(written)


VIDEO = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}
SEALED = {"google": {"thought_signature": "c2ln"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "x"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}
LOGPROBS = {
    "content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2.0, "bytes": None}]}],
    "refusal": None,
}

REQUESTS: dict[str, dict[str, Any]] = {
    "metadata": asked(metadata={"team": "blue"}, store=True),
    "verbosity": asked(verbosity="low"),
    "search": asked(web_search_options={"search_context_size": "low"}),
    "search-and-no-tools": asked(web_search_options={}, tools=[]),
    "search-and-tools": asked(web_search_options={}, tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="auto"),
    "video": asked(messages=[{"role": "user", "content": [VIDEO, {**VIDEO, "video_url": {"url": "https://x.test/a.mp4", "fps": 1}}]}]),
    "file-by-url": asked(
        messages=[{"role": "user", "content": [{"type": "file", "file": {"file_data": "https://x.test/a", "filename": "a"}}]}]
    ),
    "sealed-call": asked(messages=[USER, {"role": "assistant", "tool_calls": [{**CALL, "extra_content": SEALED}]}, RESULT]),
    "sealed-text": asked(
        messages=[USER, {"role": "assistant", "content": "x", "extra_content": SEALED, "thought_signature": "c2ln"}, USER]
    ),
    "sealed-nothing": asked(messages=[USER, {"role": "assistant", "extra_content": SEALED}, USER]),
    "call-without-arguments": asked(messages=[USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f"}}]}, RESULT]),
    "call-with-no-arguments": asked(
        messages=[USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": None}}]}, RESULT]
    ),
    "thought": asked(
        messages=[
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True},
                    {"type": "text", "text": "x"},
                    {"type": "reference", "reference_ids": [1]},
                ],
            },
            USER,
        ]
    ),
    "pictures": asked(messages=[USER, {"role": "assistant", "content": "x", "images": [PICTURE]}, USER]),
    "legacy": asked(
        functions=[{"name": "f"}], function_call="auto", messages=[USER, {"role": "function", "name": "f", "content": "x"}, USER]
    ),
    "others": asked(
        modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}, prediction={"type": "content", "content": "x"}
    ),
    "effort": asked(reasoning_effort="low"),
    "reasoning": asked(reasoning={"effort": "high", "exclude": True}),
    "reasoning-budget": asked(reasoning={"max_tokens": 2000, "enabled": True}),
    "thinking": asked(thinking={"type": "enabled", "budget_tokens": 2000}, reasoning_effort="high"),
    "thinking-switch": asked(enable_thinking=False, thinking_budget=5),
    "thinking-of-another-type": asked(thinking="yes", reasoning=[1]),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_comes_back_as_it_was(name: str) -> None:
    before = copy.deepcopy(REQUESTS[name])
    conversation = OPENAI.read_request(REQUESTS[name])
    assert OPENAI.write_request(conversation, "m") == before
    assert conversation.dropped == []
    assert REQUESTS[name] == before


ANSWERS: dict[str, dict[str, Any]] = {
    "sealed-call": answered(tool_calls=[{**CALL, "extra_content": SEALED}]),
    "sealed-text": answered(
        content="x", extra_content={"google": {"thought": True, "thought_signature": "c2ln"}}, thought_signature="c2ln"
    ),
    "sealed-message": answered(extra_content=SEALED, tool_calls=[CALL, CALL]),
    "pictures": answered(content="x", images=[PICTURE, {**PICTURE, "index": 1}]),
    "audio": answered(audio={"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "Hello."}),
    "thought": answered(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "x"}]),
    "legacy": answered(function_call={"name": "f", "arguments": "{}"}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_back_as_it_was(name: str) -> None:
    assert OPENAI.write_answer(OPENAI.read_answer(ANSWERS[name])) == ANSWERS[name]


def blocks(name: str) -> list[Any]:
    return OPENAI.read_answer(ANSWERS[name]).choices[0].blocks


def test_who_signed_what() -> None:
    (call,) = blocks("sealed-call")
    assert (call.seal.value, call.seal.origin) == ("c2ln", GOOGLE)
    (text,) = blocks("sealed-text")
    assert text.seal.value == "c2ln"
    first, second = blocks("sealed-message")
    assert (first.seal.value, second.seal) == ("c2ln", None)


def test_what_a_model_made_besides_words() -> None:
    text, first, second = blocks("pictures")
    assert (text.text, type(first), first.media_type, second.data) == ("x", Image, "image/png", "AAAA")
    words, sound = blocks("audio")
    assert (words.text, type(sound), sound.data) == ("Hello.", Audio, "AAAA")
    assert [type(block) for block in blocks("thought")] == [Reasoning, Text]


def test_requests_in_the_hub() -> None:
    read = {name: OPENAI.read_request(body) for name, body in REQUESTS.items()}
    assert read["metadata"].metadata == {"team": "blue"}
    assert read["verbosity"].verbosity == "low"
    assert type(read["video"].messages[0].blocks[0]) is Video
    thinking = {name: conversation.thinking for name, conversation in read.items()}
    assert [(t.effort, t.budget, t.mode, t.summary) for name in REQUESTS if (t := thinking[name])] == [
        ("low", None, "", ""),
        ("high", None, "", "none"),
        ("", 2000, "enabled", ""),
        ("high", 2000, "enabled", ""),
        ("", 5, "disabled", ""),
    ]
    assert thinking["thinking-of-another-type"] is None


SAID = [Message(role="user", blocks=[Text("Hello.")])]


def test_a_search_for_somebody_at_a_place() -> None:
    where = {"city": "Bern", "country": "CH"}
    options = {"search_context_size": "high", "user_location": {"type": "approximate", "approximate": where}}
    conversation = OPENAI.read_request(asked(web_search_options=options))
    assert conversation.tools is not None
    (tool,) = conversation.tools
    assert (tool.server, tool.settings, tool.extra) == ("web_search", {"user_location": where}, {"search_context_size": "high"})
    other = Conversation(dialect="other", model="m", messages=SAID, tools=[Tool(server="web_search", settings={"user_location": where})])
    assert OPENAI.write_request(other, "gpt-4o-search-preview")["web_search_options"] == {
        "user_location": {"type": "approximate", "approximate": where}
    }
    assert other.dropped == []
    assert "web_search_options" not in OPENAI.write_request(other, "gpt-4o")
    assert other.dropped == ["tools[].web_search"]


def test_a_signature_goes_to_its_maker_alone() -> None:
    call = ToolCall("c", "f", "{}", seal=Seal("c2ln", GOOGLE))
    other = Conversation(dialect="other", model="m", messages=[Message(role="assistant", blocks=[call])])
    (message,) = OPENAI.write_request(other, "gemini-3-pro")["messages"]
    assert message["tool_calls"][0]["extra_content"] == SEALED
    assert other.dropped == []
    (message,) = OPENAI.write_request(other, "gpt-5")["messages"]
    assert "extra_content" not in message["tool_calls"][0]
    assert other.dropped == ["blocks[].seal"]


def test_an_aggregator_hands_reasoning_on_to_its_maker_alone() -> None:
    thought = Reasoning("Hm.", "c2ln", origin="anthropic-claude-v1")
    other = Conversation(dialect="other", model="m", messages=[Message(role="assistant", blocks=[thought, Text("x")])])
    quirks = Quirks(reasoning="reasoning")
    (message,) = OPENAI.write_request(other, "anthropic/claude-sonnet-4.5", quirks)["messages"]
    assert message["reasoning_details"][0]["signature"] == "c2ln"
    (message,) = OPENAI.write_request(other, "openai/gpt-5", quirks)["messages"]
    assert message == {"role": "assistant", "content": "x"}
    assert other.dropped == ["blocks[].reasoning"]


def test_the_signature_of_another_maker_is_packed_for_a_client_and_comes_back() -> None:
    blocks = [Text("x", seal=Seal("dGV4dA", GOOGLE)), ToolCall("c", "f", "{}", seal=Seal("Y2FsbA", "somebody-v1"))]
    answer = Answer(dialect="other", id="c1", model="m", choices=[Choice(blocks=blocks)])  # type: ignore[arg-type]
    message = OPENAI.write_answer(answer)["choices"][0]["message"]
    assert unpack(message["extra_content"]["google"]["thought_signature"], "") == ("dGV4dA", GOOGLE)
    packed = message["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    assert unpack(packed, GOOGLE) == ("Y2FsbA", "somebody-v1")
    own = OPENAI.read_request(asked(messages=[message]))
    assert "extra_content" not in str(OPENAI.write_request(own, "m")), "a provider that has not made it refuses the field"
    assert own.dropped == ["messages[].extra_content"]
    (again,) = OPENAI.read_request(asked(messages=[message])).messages
    seals = [(block.seal.value, block.seal.origin) for block in again.blocks if block.seal]
    assert seals == [("dGV4dA", GOOGLE), ("Y2FsbA", "somebody-v1")]


def test_logprobs_are_carried_both_ways() -> None:
    body = answered(content="Hi")
    body["choices"][0]["logprobs"] = LOGPROBS
    answer = OPENAI.read_answer(body)
    assert OPENAI.write_answer(answer) == body
    text = answer.choices[0].blocks[0]
    assert isinstance(text, Text)
    assert text.logprobs is not None
    (one,) = text.logprobs
    assert (one.token, one.logprob, one.bytes, [other.token for other in one.top]) == ("Hi", -0.5, [72, 105], ["Ho"])
    other = Answer(dialect="other", id="c1", model="m", choices=[Choice(blocks=[Text("Hi", logprobs=[one])])])
    written = OPENAI.write_answer(other)["choices"][0]["logprobs"]
    assert written["content"][0]["top_logprobs"] == [{"token": "Ho", "logprob": -2.0, "bytes": [72, 111]}]
    sdk.openai_answer(OPENAI.write_answer(other))


@pytest.mark.parametrize("odd", [1, {}, {"content": 1}, {"content": [1, {}, {"token": "x"}, {"token": 1, "logprob": 1}]}])
def test_odd_logprobs_are_passed_over(odd: Any) -> None:
    body = answered(content="Hi")
    body["choices"][0]["logprobs"] = odd
    assert OPENAI.write_answer(OPENAI.read_answer(body)) == body


def test_a_stream_with_logprobs() -> None:
    stream = streamed({"content": "Hi"}, logprobs=LOGPROBS)
    (delta,) = [event for event in hub_events("openai", stream) if type(event) is TextDelta]
    assert [one.token for one in delta.logprobs or ()] == ["Hi"]
    assert data(rewrite("openai", "openai", stream))[1]["choices"][0]["logprobs"] == LOGPROBS
    chunks = foreign(BlockStart(0, Text("")), TextDelta(0, "Hi", None, [Logprob(token="Hi", logprob=-1.0)]), BlockStop(0))
    assert chunks[1]["choices"][0]["logprobs"]["content"][0]["logprob"] == -1.0


def test_a_stream_with_pictures() -> None:
    stream = streamed({"content": "x"}, {"images": [PICTURE]}, {"content": "y"})
    kinds = [type(event.block) for event in hub_events("openai", stream) if type(event) is BlockStart]
    assert kinds == [Text, Image, Text]
    assert {"images": [PICTURE]} in [chunk["choices"][0]["delta"] for chunk in data(rewrite("openai", "openai", stream))]
    chunks = foreign(BlockStart(0, Image(media_type="image/png", data="AAAA")), BlockStop(0))
    assert chunks[1]["choices"][0]["delta"] == {"images": [PICTURE]}


def test_a_stream_with_signatures() -> None:
    stream = streamed({"tool_calls": [{**CALL, "index": 0, "extra_content": SEALED}]})
    (start,) = [event for event in hub_events("openai", stream) if type(event) is BlockStart]
    assert start.block.seal is not None
    assert start.block.seal.value == "c2ln"
    (call,) = data(rewrite("openai", "openai", stream))[1]["choices"][0]["delta"]["tool_calls"]
    assert call["extra_content"] == SEALED
    stream = streamed({"content": "x"}, {"extra_content": SEALED})
    assert [event.signature for event in hub_events("openai", stream) if type(event) is SignatureDelta] == ["c2ln"]
    assert {"extra_content": SEALED} in [chunk["choices"][0]["delta"] for chunk in data(rewrite("openai", "openai", stream))]


def test_signatures_of_other_streams() -> None:
    chunks = foreign(
        BlockStart(0, Text("")),
        TextDelta(0, "x"),
        SignatureDelta(0, "dGV4dA", GOOGLE),
        BlockStop(0),
        BlockStart(1, ToolCall("c", "f", "", seal=Seal("Y2FsbA", GOOGLE))),
        ArgumentsDelta(1, "{}"),
        BlockStop(1),
        BlockStart(2, ToolCall("d", "f", "")),
        SignatureDelta(2, "bGF0ZQ", GOOGLE),
        BlockStop(2),
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (text,) = [delta["extra_content"]["google"]["thought_signature"] for delta in deltas if "extra_content" in delta]
    assert unpack(text, "") == ("dGV4dA", GOOGLE)
    calls = [call for delta in deltas for call in delta.get("tool_calls", ()) if "extra_content" in call]
    signed = [(call["index"], unpack(call["extra_content"]["google"]["thought_signature"], "")[0]) for call in calls]
    assert signed == [(0, "Y2FsbA"), (1, "bGF0ZQ")]


def test_names_are_those_of_the_clients_dialect() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stop_sequences": list("abcde")}
    conversation = DIALECTS["anthropic"].read_request(body)
    OPENAI.write_request(conversation, "gpt-4o", Quirks(refuses=("max_completion_tokens",), max_tokens_field="max_completion_tokens"))
    assert conversation.dropped == ["stop_sequences", "max_tokens"]
    own = OPENAI.read_request(asked(max_completion_tokens=5))
    OPENAI.write_request(own, "gpt-4o", Quirks(refuses=("max_completion_tokens",)))
    assert own.dropped == ["max_completion_tokens"]


def test_a_thought_with_more_to_it_is_a_thought_to_all() -> None:
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True, "signature": "s"}
    chunks: list[dict[str, Any]] = [{"delta": {"content": [part]}}, {"delta": {"content": "Hi"}}, {"delta": {}, "finish_reason": "stop"}]
    sent = b"".join(
        b"data: " + msgspec.json.encode({"id": "c", "model": "m", "choices": [{"index": 0, **chunk}]}) + b"\n\n" for chunk in chunks
    )
    told = rewrite("openai", "anthropic", sent + b"data: [DONE]\n\n")
    assert b'"thinking":"Hm."' in told
    assert msgspec.json.encode(part) in rewrite("openai", "openai", sent + b"data: [DONE]\n\n")
