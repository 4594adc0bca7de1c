"""Legacy completions: in their own dialect as they were, to others as a conversation, and back as text."""

import copy
import json
from typing import Any

import pytest
from openai.types import Completion

from extproc import Reject
from extproc.dialects import DIALECTS
from extproc.dialects.hub import Answer, Choice, Conversation, Logprob, Reasoning, Refusal, Start, StopReason, Text, ToolCall
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.traffic import ANSWERS, MODEL, STREAMS, Exchange, hub_events, name

OPENAI = DIALECTS["openai"]
COMPLETIONS: Any = OPENAI.operations["completions"]

REQUESTS: dict[str, dict[str, Any]] = {
    "short": {"model": "m", "prompt": "Once"},
    "list": {"model": "m", "prompt": ["Once"], "echo": False},
    "long": {
        "model": "m",
        "prompt": "Once",
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 2,
        "best_of": 3,
        "echo": True,
        "suffix": "the end",
        "stop": "\n",
        "seed": 7,
        "logprobs": 2,
        "logit_bias": {"1": 1},
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "user": "u",
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
    },
    "nulls": {"model": "m", "prompt": "Once", "max_tokens": None, "stop": None, "logprobs": None, "echo": None},
    "no-logprobs": {"model": "m", "prompt": "Once", "logprobs": 0, "stop": ["a", "b"]},
}


@pytest.mark.parametrize("which", REQUESTS)
def test_a_request_comes_back_as_it_was(which: str) -> None:
    before = copy.deepcopy(REQUESTS[which])
    assert COMPLETIONS.write_request(COMPLETIONS.read_request(REQUESTS[which]), "m") == before
    assert REQUESTS[which] == before


@pytest.mark.parametrize("prompt", [None, ["a", "b"], [1, 2], [[1]], [], 7])
def test_what_is_no_single_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(Reject) as caught:
        COMPLETIONS.read_request({"model": "m", "prompt": prompt})
    assert (caught.value.fault.status, caught.value.fault.param) == (400, "prompt")


@pytest.mark.parametrize("target", [target for target in DIALECTS if target != "openai"])
def test_a_request_becomes_a_conversation(target: str) -> None:
    question: Conversation = COMPLETIONS.read_request(REQUESTS["long"])
    body = DIALECTS[target].write_request(question, MODEL[target])
    assert "Once" in json.dumps(body)
    assert {"best_of", "suffix", "logit_bias"} <= set(question.dropped)
    (message,) = DIALECTS[target].read_request({"model": "m", **body}).messages
    assert [block.text for block in message.blocks if type(block) is Text] == ["Once"]


def test_an_answer_comes_back_as_it_was() -> None:
    logprobs = {"tokens": [" upon"], "token_logprobs": [-1.0], "top_logprobs": [{" upon": -1.0}], "text_offset": [4]}
    choices = [
        {"text": " upon", "index": 0, "logprobs": logprobs, "finish_reason": "length"},
        {"text": "", "index": 1, "logprobs": None, "finish_reason": None},
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {
        "id": "c",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": usage,
        "system_fingerprint": "f",
    }
    answer = COMPLETIONS.read_answer(body)
    assert COMPLETIONS.write_answer(answer) == body
    assert answer.usage == Usage(input=1, output=1)
    with pytest.raises(ValueError, match="choices"):
        COMPLETIONS.read_answer({"choices": []})


def test_an_answer_is_text_alone() -> None:
    asked = COMPLETIONS.read_request({"model": "m", "prompt": "Once", "echo": True, "logprobs": 1}).asked
    likely = [Logprob(token=" up", logprob=-1.0, top=[Logprob(token=" in", logprob=-2.0)]), Logprob(token="on", logprob=-0.5)]
    blocks = [Reasoning("Hm."), Text(" upon", logprobs=likely), Refusal(" no"), ToolCall("c", "f", "{}")]
    choice = Choice(blocks=blocks, stop=StopReason.TOOL)  # type: ignore[arg-type]
    answer = Answer(
        dialect="other", id="c", model="m", choices=[choice, Choice(index=1, blocks=[Text("x")])], usage=Usage(1, 1), asked=asked
    )
    completion = Completion.model_validate(COMPLETIONS.write_answer(answer))
    first, second = completion.choices
    assert (first.text, first.finish_reason, second.text, second.index) == ("Once upon no", "stop", "Oncex", 1)
    assert first.logprobs is not None
    assert (first.logprobs.tokens, first.logprobs.text_offset, first.logprobs.top_logprobs) == ([" up", "on"], [4, 7], [{" in": -2.0}, {}])
    assert answer.dropped == ["blocks[].reasoning", "blocks[].tool_call"]


@cases("exchange", [exchange for exchange in ANSWERS if exchange.dialect != "openai"], ids=name)
def test_every_answer_reaches_the_sdk(exchange: Exchange) -> None:
    answer = DIALECTS[exchange.dialect].read_answer(exchange.answer)
    answer.asked = COMPLETIONS.read_request(REQUESTS["short"]).asked
    completion = Completion.model_validate(COMPLETIONS.write_answer(answer))
    assert completion.choices[0].text == "".join(b.text for b in answer.choices[0].blocks if isinstance(b, Text | Refusal))


@cases("exchange", [exchange for exchange in STREAMS if exchange.dialect != "openai"], ids=name)
def test_every_stream_reaches_the_sdk(exchange: Exchange) -> None:
    writer, chat = (OPENAI.stream_writer(include_usage=True) for _ in range(2))
    events = hub_events(exchange.dialect, exchange.text.encode())
    conversation = b"".join(chat.write(event) for event in copy.deepcopy(events))
    asked = COMPLETIONS.read_request({"model": "m", "prompt": "Once", "echo": True}).asked
    for event in events:
        if type(event) is Start:
            event.asked = asked
    stream = b"".join(writer.write(event) for event in events) + writer.end()
    chunks = sdk.completion_stream(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in sdk.openai_stream(conversation) if chunk.choices)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Once" + said
    assert chunks[-1].choices[0].finish_reason in ("stop", "length", "content_filter")
    assert stream.endswith(b"data: [DONE]\n\n")
