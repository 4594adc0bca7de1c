"""Content that Mistral tells in parts reaches OpenAI's own clients as a text with thoughts beside it, and goes back as parts."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from mistralai.client.models import CompletionChunk, TextChunk, ThinkChunk
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from extproc.answering import Answering, BrokenAnswer, Unpacked, choose
from extproc.answering.terms import DROPPED
from extproc.attempt import Attempt
from extproc.dialects import told_apart
from extproc.dialects.openai.reasoning import thought_in
from extproc.dialects.sse import SSE
from extproc.usage import Usage
from tests.dialects.traffic import STREAMS, data
from tests.scene import CHAT, head
from tests.test_answering import CUTS, JSON, fed, terms
from tests.test_answering import SSE as STREAM
from tests.test_attempt import attempt

(RECORDED,) = [one.text.encode() for one in STREAMS if "thinking_part_iter" in one.name and one.dialect == "openai"]


def thinking(text: str, **fields: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **fields}


APART = told_apart("mistral")
TEXT = {"type": "text", "text": "Hi"}


def answered(**message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return msgspec.json.encode(
        {"id": "c-1", "object": "chat.completion", "created": 1, "model": "magistral", "choices": [choice], "usage": usage}
    )


def whole(body: bytes) -> tuple[dict[str, Any], Answering]:
    way = choose(200, JSON, terms(apart=APART))
    told = msgspec.json.decode(fed(way, body))
    ChatCompletion.model_validate(told)
    message: dict[str, Any] = told["choices"][0]["message"]
    return message, way


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([thinking("Hm"), TEXT], {"content": "Hi", "reasoning_content": "Hm"}),
        ([thinking("H"), thinking("m"), TEXT, TEXT], {"content": "HiHi", "reasoning_content": "Hm"}),
        ([thinking("Hm")], {"content": "", "reasoning_content": "Hm"}),
        ([TEXT], {"content": "Hi"}),
        ([], {"content": ""}),
    ],
)
def test_a_whole_answer(content: list[Any], told: dict[str, Any]) -> None:
    message, way = whole(answered(content=content))
    assert message == {"role": "assistant", **told}
    assert (way.finished, way.usage, way.answered, way.headers) == (True, Usage(input=5, output=2), "magistral", {})


@pytest.mark.parametrize("cut", [30, -1])
def test_one_that_breaks_off(cut: int) -> None:
    way = choose(200, JSON, terms(apart=APART))
    body = answered(content=[thinking("Hm"), TEXT])[:cut]
    assert way.feed(body, end=False) == []
    assert b"".join(way.feed(b"", end=True)) == body
    assert not way.finished
    with pytest.raises(BrokenAnswer, match="JSON that breaks off"):
        way.check_end()


def test_a_signature_is_kept() -> None:
    message, _ = whole(answered(content=[thinking("Hm", signature="s"), TEXT]))
    entry = {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "mistral-v1", "index": 0}
    assert message == {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "reasoning_details": [entry]}


def test_other_parts_are_named() -> None:
    message, way = whole(answered(content=[TEXT, {"type": "reference", "reference_ids": [1]}, 5]))
    assert message["content"] == "Hi"
    assert way.headers == {DROPPED: "answer.choices[].message.content[].reference, answer.choices[].message.content[].part"}


def test_what_parts_say_beside_their_text_is_named() -> None:
    thought = {**thinking("Hm", closed="true", of_tomorrow="x"), "thinking": ["x", {"type": "reference", "reference_ids": [1]}]}
    message, way = whole(answered(content=[{**TEXT, "citations": [1], "annotations": None, "a\r\nb": 1}, thought, {"type": "a\r\nb"}]))
    assert message["content"] == "Hi"
    where = "answer.choices[].message.content[]."
    names = ["citations", "of_tomorrow", "thinking[].part", "thinking[].reference", "part"]
    assert way.headers == {DROPPED: ", ".join(where + name for name in names)}


def test_a_delta_of_nothing_but_references_is_one_without_words() -> None:
    delta = {"content": [{"type": "reference", "reference_ids": [1, 2]}]}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta}]}
    (told,) = choose(200, STREAM, terms(apart=APART)).feed(b"data: " + msgspec.json.encode(chunk) + b"\n\n", False)
    (read,) = data(told)
    ChatCompletionChunk.model_validate(read | {"choices": [read["choices"][0] | {"finish_reason": None}]})
    assert read["choices"][0]["delta"] == {"content": ""}


@pytest.mark.parametrize(
    "body",
    [
        answered(content="Hi"),
        answered(content=None, tool_calls=[]),
        b'{"choices":[{"message":{"content":"\\"content\\":["}}]}',
        b'{"choices":[{"message":{"content":["}}]}',
        b'{"choices":5,"content":[]}',
        b'[{"content":[]}]',
        b'{"choices":[5,{"message":5}],"content":[]}',
    ],
)
def test_anything_else_passes_to_the_byte(body: bytes) -> None:
    assert fed(choose(200, JSON, terms(apart=APART)), body) == body


@settings(max_examples=20)
@given(CUTS)
def test_a_recorded_stream(cuts: list[int]) -> None:
    way = choose(200, STREAM, terms(apart=APART))
    told = fed(way, RECORDED, cuts)
    assert way.finished and told.endswith(b"data: [DONE]\n\n")
    given = [CompletionChunk.model_validate(chunk).choices[0].delta.content for chunk in data(RECORDED)]
    parts = [part for content in given if isinstance(content, list) for part in content]
    thought = "".join(thought_in(part.model_dump()["thinking"]) for part in parts if isinstance(part, ThinkChunk))
    text = "".join(
        one if isinstance(one, str) else "".join(part.text for part in one if isinstance(part, TextChunk)) for one in given if one
    )
    deltas = [ChatCompletionChunk.model_validate(chunk).choices[0].delta for chunk in data(told)]
    assert thought and "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == thought
    assert "".join(delta.content or "" for delta in deltas) == text
    assert all(isinstance(delta.content, str | None) for delta in deltas)


def test_what_of_a_stream_is_in_no_parts_passes_as_it_is() -> None:
    way, as_it_is = choose(200, STREAM, terms(apart=APART)), choose(200, STREAM, terms())
    for event in SSE.splitter().feed(RECORDED):
        (told,) = way.feed(event, False)
        assert as_it_is.feed(event, False) == [event]
        assert way.even and way.may_wait(event) == (as_it_is.may_wait(event) and b'"content":[' not in event)
        assert (told == event) == (b'"content":[' not in event)
    odd = b'data: {"choices":[{"delta":{"content":["}}]}\n\n'
    assert way.feed(odd, False) == [odd]
    comment = b': "content":[\n\n'
    assert way.feed(comment, False) == [comment]
    spaced = b'data: {"choices": [{"delta": {"content": [{"type": "text", "text": "Hi"}]}}]}\n\n'
    assert way.feed(spaced, False) == [b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n']


def conversation(**message: Any) -> bytes:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", **message}, {"role": "user", "content": "And?"}]
    return msgspec.json.encode({**CHAT, "messages": turns})


def sent(made: Attempt, body: bytes) -> Any:
    outgoing = made.outgoing(head(), body)
    return msgspec.json.decode(outgoing.body)["messages"][1] if outgoing.body is not None else None


@pytest.mark.parametrize(
    ("message", "expected", "dropped"),
    [
        ({"content": "Hi", "reasoning_content": "Hm"}, [thinking("Hm"), TEXT], []),
        ({"content": "Hi", "reasoning": "Hm"}, [thinking("Hm"), TEXT], []),
        ({"content": "", "reasoning_content": "Hm"}, [thinking("Hm")], []),
        (
            {
                "content": "Hi",
                "reasoning_content": "Hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "mistral-v1", "index": 0}],
            },
            [thinking("Hm", signature="s"), TEXT],
            [],
        ),
        (
            {"content": "Hi", "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "of Claude"}]},
            [thinking("Hm"), TEXT],
            ["messages[].reasoning_content"],
        ),
        (
            {"content": "Hi", "thinking_blocks": [{"type": "redacted_thinking", "data": "of Claude"}]},
            "Hi",
            ["messages[].reasoning_content"],
        ),
    ],
)
def test_what_comes_back_is_in_parts_again(message: dict[str, Any], expected: Any, dropped: list[str]) -> None:
    made = attempt("magistral")
    assert sent(made, conversation(**message)) == {"role": "assistant", "content": expected}
    assert made.dropped == dropped


def test_calls_stay_beside_the_parts() -> None:
    calls = [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    told = sent(attempt("magistral"), conversation(content=None, reasoning_content="Hm", tool_calls=calls))
    assert told == {"role": "assistant", "content": [thinking("Hm")], "tool_calls": calls}


@pytest.mark.parametrize(("provider", "sdk"), [("magistral", "mistral"), ("openai", ""), ("local", "")])
def test_it_is_done_for_nobody_else(provider: str, sdk: str) -> None:
    made = attempt(provider, sdk=sdk)
    assert sent(made, conversation(content="Hi", reasoning_content="Hm")) is None
    body = answered(content=[thinking("Hm"), TEXT])
    assert made.answering(200, JSON).feed(body, True) == [body]


def test_an_attempt_of_openai_s_clients() -> None:
    made = attempt("magistral")
    assert sent(made, conversation(content="Hi")) is None
    (told,) = made.answering(200, JSON).feed(answered(content=[thinking("Hm"), TEXT]), True)
    assert msgspec.json.decode(told)["choices"][0]["message"]["reasoning_content"] == "Hm"
    packed = made.answering(200, {**JSON, "content-encoding": "gzip"})
    assert isinstance(packed, Unpacked) and packed.rewrites
    body = conversation(content="Hi", reasoning_content="Hm")
    job = made.job(body)
    assert job is not None and job.work(body).body == made.rewrite(body)
