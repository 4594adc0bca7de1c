"""What Gemini's API has and the recordings do not show: its liberties with JSON, and what its streams may do."""

import copy
import json
from typing import Any

import google.genai.errors
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.dialogue import request
from extproc.dialects import DIALECTS
from extproc.dialects.gemini import glance
from extproc.dialects.gemini.signatures import UNSIGNED
from extproc.dialects.hub import Error, Finish, Text
from extproc.errors import Reject
from tests.dialects import sdk
from tests.dialects.traffic import data, hub_events, rewrite
from tests.examples import examples

GEMINI, OPENAI, ANTHROPIC = DIALECTS["gemini"], DIALECTS["openai"], DIALECTS["anthropic"]

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.dictionaries(WORDS, inner, max_size=2) | st.lists(inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=2)
SIGNED = st.fixed_dictionaries({}, optional={"thoughtSignature": st.sampled_from(["c2ln", "aGVhZGdhdGU6*", UNSIGNED])})
MIMES = st.sampled_from(["image/png", "audio/mpeg", "audio/wav", "video/mp4", "application/pdf", "text/plain", "strange"])
URIS = st.sampled_from(
    [
        "https://example.com/a.png",
        "https://youtu.be/x",
        "gs://bucket/a.mp4",
        "https://generativelanguage.googleapis.com/v1beta/files/x",
        "https://[bad",
        "https://example.com/a",
    ]
)
INLINE = st.fixed_dictionaries({"data": st.just("AAAA")}, optional={"mimeType": MIMES, "displayName": WORDS, "xNew": VALUES})
FILE = st.fixed_dictionaries({"fileUri": URIS}, optional={"mimeType": MIMES, "displayName": WORDS})
RESPONSE = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g"])},
    optional={
        "id": st.sampled_from(["1", "2", "x"]),
        "response": st.sampled_from([{"output": "a"}, {"error": "b"}, {"result": 1}, {}]) | OBJECTS,
        "parts": st.lists(INLINE.map(lambda one: {"inlineData": one}), max_size=2),
        "willContinue": st.booleans(),
    },
)
CALL = st.fixed_dictionaries({"name": st.sampled_from(["f", "g"])}, optional={"id": st.sampled_from(["1", "2"]), "args": OBJECTS})
DATA = st.one_of(
    st.fixed_dictionaries({"text": WORDS | st.just("")}, optional={"thought": st.booleans()}),
    INLINE.map(lambda one: {"inlineData": one}),
    FILE.map(lambda one: {"fileData": one}),
    CALL.map(lambda one: {"functionCall": one}),
    RESPONSE.map(lambda one: {"functionResponse": one}),
    st.sampled_from([{"executableCode": {"language": "PYTHON", "code": "1"}}, {"ofTomorrow": {"x": 1}}, {}]),
)
PARTS = st.builds(
    lambda one, signed, more: {**one, **signed, **more},
    DATA,
    SIGNED,
    st.fixed_dictionaries({}, optional={"videoMetadata": st.just({"fps": 2}), "thought": st.just(True), "xNew": VALUES}),
)
CONTENTS = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(["user", "model", "function", "odd"]), "parts": st.lists(PARTS, max_size=4)}
)
FUNCTIONS = st.fixed_dictionaries(
    {"name": WORDS},
    optional={
        "description": WORDS | st.just(""),
        "parameters": st.just({"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}),
        "parametersJsonSchema": st.just({"type": "object"}),
        "behavior": st.just("BLOCKING"),
    },
)
TOOLS = st.fixed_dictionaries(
    {},
    optional={
        "functionDeclarations": st.lists(FUNCTIONS, max_size=2) | FUNCTIONS,
        "googleSearch": st.sampled_from([{}, {"excludeDomains": ["a"]}]),
        "codeExecution": st.just({}),
        "ofTomorrow": OBJECTS,
    },
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["AUTO", "ANY", "NONE", "VALIDATED", "ODD"]),
        "allowedFunctionNames": st.lists(WORDS, max_size=2),
        "streamFunctionCallArguments": st.booleans(),
    },
)
THINKING = st.fixed_dictionaries(
    {},
    optional={
        "thinkingBudget": st.sampled_from([-1, 0, 500]),
        "thinkingLevel": st.sampled_from(["LOW", "low", "THINKING_LEVEL_UNSPECIFIED"]),
        "includeThoughts": st.booleans(),
        "xNew": st.just(1),
    },
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "topK": st.integers(1, 9) | st.just(1.5),
        "maxOutputTokens": st.integers(1, 99),
        "candidateCount": st.integers(1, 3),
        "responseMimeType": st.sampled_from(["application/json", "text/plain", "text/x.enum"]),
        "responseSchema": st.just({"type": "STRING"}),
        "responseJsonSchema": st.just({"type": "string"}),
        "responseModalities": st.sampled_from([["TEXT"], ["TEXT", "IMAGE"]]),
        "responseLogprobs": st.booleans(),
        "thinkingConfig": THINKING,
        "stopSequences": st.lists(WORDS, max_size=2),
        "speechConfig": OBJECTS,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"contents": st.lists(CONTENTS, max_size=3) | CONTENTS},
    optional={
        "systemInstruction": CONTENTS,
        "tools": st.lists(TOOLS, max_size=2) | TOOLS,
        "toolConfig": st.fixed_dictionaries({}, optional={"functionCallingConfig": CHOICES, "retrievalConfig": OBJECTS}),
        "generationConfig": CONFIGS,
        "safetySettings": st.just([{"category": "C", "threshold": "T"}]),
        "serviceTier": st.sampled_from(["flex", "standard", "odd"]),
        "labels": st.just({"some_key": "v"}),
    },
)
_FREE = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels", "xNew", "ofTomorrow"}


def snake(value: Any) -> Any:
    """The same in the proto's own spelling; what is free JSON stays as it is."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {"".join("_" + c.lower() if c.isupper() else c for c in key): one if key in _FREE else snake(one) for key, one in value.items()}


@settings(deadline=None, max_examples=examples(100))
@given(REQUESTS, st.booleans())
def test_nothing_is_lost_at_home(body: dict[str, Any], as_proto: bool) -> None:
    body = snake(body) if as_proto else body
    conversation = GEMINI.read_request({**body, "model": "m", "stream": True})
    assert GEMINI.write_request(conversation, "m") == body
    assert conversation.dropped == []


@settings(deadline=None)
@given(REQUESTS)
def test_a_glance_reads_what_the_long_way_does(body: dict[str, Any]) -> None:
    body = {**body, "model": "m"}
    short = GEMINI.read_request(copy.deepcopy(body))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("content", "instructions", "part", "functions"):
            patch.setattr(glance, name, lambda _: None)
        long = GEMINI.read_request(copy.deepcopy(body))
    assert short == long
    assert GEMINI.write_request(short, "m") == GEMINI.write_request(long, "m")


def test_most_is_read_at_a_glance() -> None:
    body = json.loads(request("gemini"))
    assert None not in [glance.content(content) for content in body["contents"]]
    assert glance.instructions(body["systemInstruction"])
    assert [tool.name for tool in glance.functions(body["tools"][0]) or ()] == ["look_up", "send"]


@settings(deadline=None)
@given(REQUESTS)
def test_both_spellings_mean_the_same_to_others(body: dict[str, Any]) -> None:
    given = body.get("contents", [])
    body = {**body, "contents": [*(given if isinstance(given, list) else [given]), {"role": "user", "parts": [{"text": "Hello."}]}]}
    for target in (OPENAI, ANTHROPIC):
        written = [target.write_request(GEMINI.read_request({**one, "model": "m"}), "claude-sonnet-4-5") for one in (body, snake(body))]
        assert written[0] == written[1]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": 5}, "contents"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inline_data": {"mime_type": "a/b"}}]}]}, "contents[0].parts[0].inlineData.data"),
        ({"contents": [{"role": 1}]}, "contents[0].role"),
        ({"contents": [], "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"contents": [], "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"contents": [], "systemInstruction": "Be."}, "systemInstruction"),
    ],
)
def test_a_wrong_type_names_its_field(body: Any, param: str) -> None:
    with pytest.raises(Reject) as raised:
        GEMINI.read_request({**body, "model": "m"})
    assert (raised.value.fault.status, raised.value.fault.param) == (400, param)


def test_results_belong_to_the_calls_of_their_name_in_their_order() -> None:
    calls = [{"functionCall": {"name": name, "args": {"n": n}}} for n, name in enumerate("fgf")]
    results = [{"functionResponse": {"name": name, "response": {"output": said}}} for name, said in (("g", "1"), ("f", "0"), ("f", "2"))]
    body = {"contents": [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]}
    written = OPENAI.write_request(GEMINI.read_request({**body, "model": "m"}), "gpt-5")["messages"]
    asked = {call["id"]: json.loads(call["function"]["arguments"])["n"] for call in written[0]["tool_calls"]}
    assert [(asked[message["tool_call_id"]], message["content"]) for message in written[1:]] == [(1, "1"), (0, "0"), (2, "2")]


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def chunk(*parts: Any, finish: str = "", index: int = 0, **rest: Any) -> Any:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, **rest}], "modelVersion": "g", "responseId": "r"}


BROKEN = {
    "cut off": sse(chunk({"text": "x"})),
    "not JSON": sse(chunk({"text": "x"})) + b"data: {nope\n\n",
    "wrong type": sse(chunk({"text": 5}, finish="STOP")),
    "an error": sse(chunk({"text": "x"}), {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}),
    "one of two": sse(chunk({"text": "x"}, finish="STOP"), chunk({"text": "y"}, index=1)),
    "nothing at all": b"",
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_an_error_and_a_clean_end(stream: bytes) -> None:
    seen = hub_events("gemini", stream)
    assert isinstance(seen[-1], Error)
    assert seen[-1].fault.status >= 500
    with pytest.raises(openai.APIError):
        sdk.openai_stream(rewrite("gemini", "openai", stream))
    with pytest.raises(google.genai.errors.APIError):
        sdk.google_stream(rewrite("gemini", "gemini", stream))


def test_an_overloaded_provider_keeps_its_meaning() -> None:
    (*_, last) = hub_events("gemini", BROKEN["an error"])
    assert isinstance(last, Error)
    assert (last.fault.status, last.fault.code, last.fault.message) == (503, "overloaded", "Overloaded.")


BLOCKED = {
    "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "Unsafe."},
    "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
    "modelVersion": "g",
    "responseId": "r",
}


def test_a_blocked_prompt_is_a_refusal_and_no_error() -> None:
    stream = sse(BLOCKED)
    assert isinstance(hub_events("gemini", stream)[-1], Finish)
    chunks = sdk.openai_stream(rewrite("gemini", "openai", stream))
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["content_filter"]
    message, _ = sdk.anthropic_stream(rewrite("gemini", "anthropic", stream))
    assert message.stop_reason == "refusal" and message.usage.input_tokens == 4
    (told,) = [chunk for chunk in data(rewrite("gemini", "gemini", stream)) if "promptFeedback" in chunk]
    assert told["promptFeedback"] == BLOCKED["promptFeedback"]
    assert not any("candidates" in chunk for chunk in data(rewrite("gemini", "gemini", stream)))
    whole = sdk.openai_answer(OPENAI.write_answer(GEMINI.read_answer(BLOCKED)))
    assert (whole.choices[0].finish_reason, whole.choices[0].message.refusal) == ("content_filter", "Unsafe.")


def test_sources_are_found_in_bytes_and_told_in_characters() -> None:
    text = "Zürich ist schön. Ja."
    segment = {"startIndex": len("Zürich ".encode()), "endIndex": len("Zürich ist schön".encode()), "text": "ist schön"}
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.org", "title": "A"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0, 7]}],
    }
    stream = sse(chunk({"text": text[:9]}), chunk({"text": text[9:]}, finish="STOP", groundingMetadata=grounding))
    for annotations in (
        OPENAI.write_answer(GEMINI.read_answer(chunk({"text": text}, finish="STOP", groundingMetadata=grounding)))["choices"][0]["message"],
        next(c["delta"] for item in data(rewrite("gemini", "openai", stream)) for c in item["choices"] if "annotations" in c["delta"]),
    ):
        (one,) = annotations["annotations"]
        assert one["url_citation"] == {"url": "https://a.org", "title": "A", "start_index": 7, "end_index": 16}
    # And out of another dialect's, in bytes again.
    annotation = {"type": "url_citation", "url_citation": {"url": "https://a.org", "title": "A", "start_index": 7, "end_index": 16}}
    answer = {"choices": [{"message": {"content": text, "annotations": [annotation]}, "finish_reason": "stop"}]}
    written = GEMINI.write_answer(OPENAI.read_answer(answer))["candidates"][0]["groundingMetadata"]
    assert written["groundingSupports"] == [{"segment": segment, "groundingChunkIndices": [0]}]
    deltas = [{"choices": [{"index": 0, "delta": {"content": text}}]}, {"choices": [{"index": 0, "delta": {"annotations": [annotation]}}]}]
    streamed = data(
        rewrite("openai", "gemini", sse(*deltas, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n")
    )
    assert streamed[-1]["candidates"][0]["groundingMetadata"] == written


def test_log_probabilities_reach_the_hub() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5, "tokenId": 7}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -2}]}],
    }
    (block,) = GEMINI.read_answer(chunk({"text": "é"}, finish="STOP", logprobsResult=result)).choices[0].blocks
    assert isinstance(block, Text) and block.logprobs
    (one,) = block.logprobs
    assert (one.token, one.logprob, one.bytes, [top.token for top in one.top]) == ("é", -0.5, [195, 169], ["é", "e"])
    assert GEMINI.read_answer(chunk({"text": "é"}, logprobsResult={"chosenCandidates": [{}]})).choices[0].blocks == [Text("é")]


CALLS = [
    {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
    {"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"x"'}},
    {"index": 1, "function": {"arguments": "{}"}},
    {"index": 0, "function": {"arguments": ":1}"}},
]


def test_calls_that_come_in_turns_are_told_whole() -> None:
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in CALLS]
    stream = sse(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}) + b"data: [DONE]\n\n"
    read = sdk.google_stream(rewrite("openai", "gemini", stream))
    contents = [candidate.content for one in read for candidate in one.candidates or () if candidate.content]
    calls = [part.function_call for content in contents for part in content.parts or () if part.function_call]
    assert {(call.id, call.name, json.dumps(call.args)) for call in calls} == {("a", "f", '{"x": 1}'), ("b", "g", "{}")}


def test_pictures_and_several_candidates() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    draft = {**picture, "thought": True}
    stream = sse(chunk(draft, picture), chunk({"text": "b"}, index=1), chunk(finish="STOP"), chunk(finish="MAX_TOKENS", index=1))
    own = data(rewrite("gemini", "gemini", stream))
    parts = [part for one in own for candidate in one["candidates"] for part in candidate["content"]["parts"] if "inlineData" in part]
    assert parts == [draft, picture]
    reasons = {(c["index"], c["finishReason"]) for one in own for c in one["candidates"] if "finishReason" in c}
    assert reasons == {(0, "STOP"), (1, "MAX_TOKENS")}
    message, _ = sdk.anthropic_stream(rewrite("gemini", "anthropic", stream))
    assert message.stop_reason == "end_turn"


def test_base64_of_googles_sdk_is_in_the_alphabet_that_others_read() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBO-_8"}}
    body = {"model": "m", "contents": [{"role": "user", "parts": [image]}]}
    conversation = DIALECTS["gemini"].read_request(body)
    (part,) = DIALECTS["openai"].write_request(conversation, "gpt-5")["messages"][0]["content"]
    assert part["image_url"]["url"] == "data:image/png;base64,iVBO+/8="
    again = DIALECTS["gemini"].write_request(DIALECTS["gemini"].read_request(body), "m")
    assert again["contents"] == body["contents"]
