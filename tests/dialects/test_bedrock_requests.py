"""Requests for Bedrock's models, whose habits differ; and what survives the way there and back."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.bedrock.families import family
from extproc.dialects.bedrock.media import DOCUMENTS, IMAGES, VIDEOS, Names, format_of, known_format, media_type, source
from extproc.dialects.bedrock.reasoning import SIGNER, UNKNOWN, read_redacted, write_redacted
from extproc.errors import Reject
from tests.cases import cases
from tests.dialects.bedrock import BEDROCK
from tests.dialects.converse import check_request
from tests.dialects.test_golden import GOLDEN, LINE
from tests.dialects.test_round_trip import ARGUMENTS, NAMES, WORDS, maybe, openai_requests
from tests.dialects.traffic import RECORDINGS
from tests.examples import examples

OPENAI = DIALECTS["openai"]
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@cases("file", sorted(GOLDEN.glob("*-to-bedrock.*.txt")), ids=lambda file: file.stem)
def test_what_is_expected_is_what_the_reference_takes(file: Path) -> None:
    check_request(json.loads(file.read_text().split(LINE)[1])["request"])


# What is known of models by their names, each by the rows that it must and must not meet.
FAMILIES = [
    ("anthropic.claude-v2:1", {"budget": False, "caches": False, "prefill": True}),
    ("anthropic.claude-3-haiku-20240307-v1:0", {"budget": False, "caches": False, "top_k": ("top_k",)}),
    ("anthropic.claude-3-5-sonnet-20240620-v1:0", {"caches": False}),
    ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", {"caches": True, "budget": False}),
    ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"budget": True, "structured": False, "signs": True}),
    ("us.anthropic.claude-sonnet-4-20250514-v1:0", {"budget": True, "one_of": False}),
    ("us.anthropic.claude-opus-4-1-20250805-v1:0", {"budget": True, "one_of": True, "structured": False}),
    (CLAUDE, {"budget": True, "structured": True, "hour": True, "adaptive": False}),
    ("global.anthropic.claude-opus-4-6-v1", {"adaptive": True, "budget": False, "prefill": False, "sampling": True}),
    ("anthropic.claude-opus-4-7", {"adaptive": True, "sampling": False, "structured": False}),
    ("anthropic.claude-sonnet-5", {"adaptive": True, "structured": True}),
    ("us.amazon.nova-2-lite-v1:0", {"effort": ("reasoningConfig", "maxReasoningEffort"), "top_k": ("inferenceConfig", "topK")}),
    ("us.amazon.nova-premier-v1:0", {"servers": {"web_search": "nova_grounding"}, "effort": ()}),
    ("amazon.nova-micro-v1:0", {"caches": True, "caches_tools": False, "servers": {}}),
    ("openai.gpt-oss-120b-1:0", {"effort": ("reasoning_effort",), "leads": False}),
    ("qwen.qwen3-32b-v1:0", {"effort": ("reasoning_config",), "leads": True}),
    ("us.meta.llama4-maverick-17b-instruct-v1:0", {"beside": frozenset(), "inside": {"image", "document"}}),
    ("mistral.mistral-large-2407-v1:0", {"choices": {"required"}, "json_results": True}),
    ("mistral.magistral-small-2509", {"structured": True, "json_results": True}),
    ("us.writer.palmyra-x4-v1:0", {"status": False}),
    ("us.deepseek.r1-v1:0", {"structured": False, "signs": False}),
    ("zai.glm-4.7-flash", {"structured": True}),
    ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1da", {"choices": {"required", "tool"}, "signs": True}),
    ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-7-sonnet-20250219-v1:0", {"budget": True}),
    ("cohere.command-r-v1:0", {"choices": frozenset(), "caches": False}),
]


@pytest.mark.parametrize(("model", "known"), FAMILIES, ids=[model for model, _ in FAMILIES])
def test_families(model: str, known: dict[str, Any]) -> None:
    found = family(model)
    assert {name: getattr(found, name) for name in known} == known


@pytest.mark.parametrize("formats", [IMAGES, DOCUMENTS, VIDEOS])
def test_formats_there_and_back(formats: dict[str, str]) -> None:
    assert {format_of(formats, media_type(formats, name)) for name in formats} == formats.keys()
    assert len(set(formats.values())) == len(formats)


@pytest.mark.parametrize(
    ("formats", "given_type", "name", "expected"),
    [
        (IMAGES, "image/JPG", "", "jpeg"),
        (IMAGES, "image/tiff", "a.png", None),
        (IMAGES, "", "s3://b/a.webp", "webp"),
        (IMAGES, "", "s3://b/a", None),
        (DOCUMENTS, "text/plain; charset=utf-8", "", "txt"),
        (DOCUMENTS, "text/x-python", "", "txt"),
        (DOCUMENTS, "application/json", "", "txt"),
        (DOCUMENTS, "application/zip", "", None),
        (DOCUMENTS, "", "notes.MD", "md"),
        (VIDEOS, "video/mp4", "", "mp4"),
    ],
)
def test_what_bedrock_calls_a_media_type(formats: dict[str, str], given_type: str, name: str, expected: str | None) -> None:
    assert known_format(formats, given_type, name) == expected


@given(st.lists(st.text(max_size=300) | st.just("report.pdf"), max_size=12))
def test_names_of_documents(wanted: list[str]) -> None:
    names = Names()
    content: list[Any] = [{"document": {"name": names.name(one), "format": "txt", "source": {"text": "x"}}} for one in wanted]
    check_request({"messages": [{"role": "user", "content": [{"text": "."}, *content]}]})


def test_a_name_that_fits_stays() -> None:
    names = Names()
    assert [names.name(one) for one in ("Report (1) [a]-b.pdf", "Report (1) [a]-b.csv", "", "ü.pdf")] == [
        "Report (1) [a]-b", "Report (1) [a]-b 2", "Document", "Document 2"
    ]  # fmt: skip


@given(st.binary(max_size=60))
def test_encrypted_bytes_come_back_as_they_were(raw: bytes) -> None:
    field = base64.b64encode(raw).decode()
    value, origin = read_redacted(field)
    assert origin in (SIGNER, UNKNOWN)
    assert write_redacted(value, origin) == field


@given(st.binary(max_size=60))
def test_base64_for_urls_becomes_that_of_bedrock(raw: bytes) -> None:
    for data in (base64.urlsafe_b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b64encode(raw)):
        assert source(data.decode(), "") == ({"bytes": base64.b64encode(raw).decode()} if raw else None)


def test_what_is_no_base64_is_kept() -> None:
    assert read_redacted("?") == ("?", UNKNOWN)
    assert write_redacted("?", UNKNOWN) == "?"


def _crossing(body: dict[str, Any]) -> dict[str, Any]:
    """Without what Bedrock has no word for."""
    kept = {key: value for key, value in body.items() if key not in ("user", "parallel_tool_calls")}
    text = json.dumps(kept).replace("https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo=")
    crossed: dict[str, Any] = json.loads(text)
    return crossed


@settings(deadline=None)
@given(openai_requests().map(_crossing))
def test_there_and_back(body: dict[str, Any]) -> None:
    there = OPENAI.read_request(body)
    written = BEDROCK.write_request(there, CLAUDE)
    assert there.dropped == []
    check_request(written)
    back = BEDROCK.read_request({**json.loads(json.dumps(written)), "model": "m"})
    assert OPENAI.write_request(back, "m") == body
    assert back.dropped == []


EXTRAS = st.dictionaries(st.sampled_from(["xNew", "yNew"]), st.integers() | WORDS, max_size=2)
BYTES = {"bytes": "iVBORw0KGgo="}
S3 = {"s3Location": {"uri": "s3://b-of-mine/x", "bucketOwner": "123456789012"}}


@st.composite
def bedrock_requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests with whatever Bedrock's dialect alone has, unknown members and blocks too."""
    source = draw(st.sampled_from([BYTES, S3]))
    inside: list[Any] = [
        {"text": draw(WORDS)},
        {"json": draw(ARGUMENTS)},
        {"json": [1, None, 2.5]},
        {"image": {"format": "png", "source": source, **draw(EXTRAS)}},
        {"cachePoint": {"type": "default"}},
        {"ofTomorrow": 1},
    ]
    cited = {"title": "T", "sourceContent": [{"text": "q"}], "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
    blocks: list[dict[str, Any]] = [
        {"text": draw(WORDS), **draw(EXTRAS)},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": draw(ARGUMENTS), **draw(EXTRAS)}},
        {"toolUse": {"toolUseId": "t2", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {
            "toolResult": {
                "toolUseId": "t1",
                "content": draw(st.lists(st.sampled_from(inside), max_size=3)),
                "status": draw(st.sampled_from(["success", "error", "odd"])),
            }
        },
        {"toolResult": {"toolUseId": "t1", "content": []}},
        {"toolResult": {"toolUseId": "t2", "content": [], "type": "nova_grounding_result"}},
        {"reasoningContent": {"reasoningText": {"text": draw(WORDS), "signature": draw(st.sampled_from(["", "s"])), **draw(EXTRAS)}}},
        {"reasoningContent": {"reasoningText": {"text": "x"}}},
        {"reasoningContent": {"redactedContent": draw(st.binary(max_size=30).map(base64.b64encode)).decode()}},
        {"reasoningContent": {"ofTomorrow": 1}},
        {"image": {"format": "of_tomorrow", "source": source}},
        {"image": {"format": "gif", "source": {"ofTomorrow": 1}}},
        {"document": {"format": "pdf", "name": "n", "source": source, "context": "c", "citations": {"enabled": True}}},
        {"document": {"name": "n", "source": {"text": draw(WORDS)}}},
        {"document": {"format": "txt", "name": "n", "source": {"content": [{"text": "a"}, {"text": "b"}]}}},
        {"video": {"format": draw(st.sampled_from(["mp4", "video/mp4"])), "source": source, **draw(EXTRAS)}},
        {"audio": {"format": "wav", "source": source}},
        {"guardContent": {"text": {"text": draw(WORDS), "qualifiers": ["query"]}}},
        {"guardContent": {"text": {"text": draw(WORDS)}}},
        {"guardContent": {"image": {"format": "png", "source": BYTES}}},
        {"citationsContent": {"content": [{"text": "a"}], "citations": [cited]}},
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], **draw(EXTRAS)}},
        {"searchResult": {"source": "https://x.org", "title": "X", "content": [{"text": "a"}], "citations": {"enabled": False}}},
        {"searchResult": {"source": "x", "title": "X", "content": [{"text": "a"}, {"text": "b"}]}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"cachePoint": {"type": "default"}, **draw(EXTRAS)},
        {"toolAddition": {"tool": {"name": "f"}}},
    ]
    content = draw(st.lists(st.sampled_from(blocks), max_size=6))
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content, **draw(EXTRAS)}]}
    schema = json.dumps({"type": "object", "properties": {}}, indent=draw(st.sampled_from([None, 1])))
    tools: list[Any] = [
        {"toolSpec": {"name": draw(NAMES), "inputSchema": {"json": {}}, "description": "", "strict": False, **draw(EXTRAS)}},
        {"toolSpec": {"name": "g"}},
        {"systemTool": {"name": "nova_code_interpreter"}},
        {"cachePoint": {"type": "default"}},
    ]
    return maybe(
        draw,
        body,
        system=st.sampled_from([[], [{"text": "a"}, {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}]]),
        inferenceConfig=st.sampled_from([{}, {"maxTokens": 5, "temperature": 0, "topP": 0.5, "stopSequences": []}, {"xNew": 1}]),
        toolConfig=st.fixed_dictionaries(
            {"tools": st.lists(st.sampled_from(tools), max_size=4)},
            optional={
                "toolChoice": st.sampled_from(
                    [{"auto": {}}, {"any": {}}, {"tool": {"name": "g"}}, {"tool": {"name": "g", "x": 1}}, {"odd": {}}]
                )
            },
        ),
        additionalModelRequestFields=st.sampled_from(
            [
                {},
                {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "anthropic_beta": ["x"]},
                {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low", "x": 1}},
                {"reasoning_effort": "high"},
                {"reasoning_config": "low"},
                {"reasoning_config": {"type": "enabled", "budget_tokens": 1}},
                {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}, "inferenceConfig": {"topK": 9}},
                {"thinking": "odd", "top_k": "odd", "inferenceConfig": {"x": 1}},
                [1],
            ]
        ),
        outputConfig=st.sampled_from(
            [
                {},
                {"effort": "low"},
                {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "description": "d", "schema": schema}}}},
                {"textFormat": {"type": "of_tomorrow"}, "x": 1},
            ]
        ),
        requestMetadata=st.sampled_from([{}, {"a": "b"}]),
        serviceTier=st.sampled_from([{"type": "flex"}, {"type": "of_tomorrow", "x": 1}, {}]),
        guardrailConfig=st.just({"guardrailIdentifier": "g"}),
        performanceConfig=st.just({"latency": "optimized"}),
        promptVariables=st.just({"a": {"text": "b"}}),
        additionalModelResponseFieldPaths=st.just(["/stop_sequence"]),
        ofTomorrow=st.just([1]),
    )


@settings(deadline=None, max_examples=examples(100))
@given(bedrock_requests(), st.none() | st.booleans())
def test_nothing_is_lost_in_bedrocks_own_dialect(body: dict[str, Any], stream: bool | None) -> None:
    asked = {**body, "model": "m", **({} if stream is None else {"stream": stream})}
    before = json.dumps(asked)
    conversation = BEDROCK.read_request(asked)
    assert BEDROCK.write_request(conversation, CLAUDE) == body
    assert conversation.stream is stream
    assert conversation.dropped == []
    assert json.dumps(asked) == before, "reading or writing changed what was read"


@settings(deadline=None)
@given(bedrock_requests())
def test_what_others_cannot_say_is_named(body: dict[str, Any]) -> None:
    for target in ("openai", "anthropic"):
        said = {"role": "user", "content": [{"text": "Hello."}]}
        conversation = BEDROCK.read_request({**body, "messages": [*body["messages"], said], "model": "m"})
        DIALECTS[target].write_request(conversation, "claude-sonnet-4-5")
        for field in ("guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths", "ofTomorrow"):
            assert (field in conversation.dropped) == (field in body)
        blocks = body["messages"][0]["content"]
        assert ("messages[].content[].toolAddition" in conversation.dropped) == any("toolAddition" in block for block in blocks)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": 5}, "messages"),
        ({"messages": [{"content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "text"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"toolUse": {"name": "f"}}]}]}, "messages[0].content[0].toolUse.toolUseId"),
        ({"messages": [{"role": "user", "content": [{"image": {"source": {"bytes": 1}}}]}]}, "messages[0].content[0].image.source.bytes"),
        ({"inferenceConfig": {"maxTokens": "many"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"stopSequences": [1]}}, "inferenceConfig.stopSequences[0]"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{nope"}}}}},
         "outputConfig.textFormat.structure.jsonSchema.schema"),
    ],
)  # fmt: skip
def test_a_wrong_type_names_its_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Reject) as raised:
        BEDROCK.read_request({**body, "model": "m"})
    assert (raised.value.fault.status, raised.value.fault.param) == (400, param)


ERRORS = [
    (400, {"message": "The provided model identifier is invalid."}, "model_not_found"),
    (400, {"message": "Input is too long for requested model."}, "context_length_exceeded"),
    (400, {"message": "prompt is too long: 250000 tokens > 200000 maximum"}, "context_length_exceeded"),
    (400, {"message": "The generated text has been blocked by our content filters."}, "content_filter"),
    (400, {"__type": "com.amazon.coral.service#ServiceQuotaExceededException", "message": "m"}, "insufficient_quota"),
    (400, {"message": "messages: roles must alternate"}, "invalid_request"),
    (403, {"Message": "User is not authorized"}, "permission_denied"),
    (403, {"__type": "ExpiredTokenException", "message": "m"}, "invalid_api_key"),
    (404, {"message": "This model version has reached the end of its life."}, "model_not_found"),
    (408, {"message": "m"}, "timeout"),
    (424, {"originalMessage": "m", "originalStatusCode": 500}, "provider_error"),
    (429, {"message": "Too many tokens, please wait before trying again."}, "rate_limit_exceeded"),
    (500, {"error": {"message": "m"}}, "internal_error"),
    (503, {"message": "Bedrock is unable to process your request."}, "overloaded"),
    (418, ["m"], "invalid_request"),
]


@pytest.mark.parametrize(("status", "body", "code"), ERRORS)
def test_errors_keep_their_meaning(status: int, body: Any, code: str) -> None:
    fault = BEDROCK.read_error(status, json.dumps(body).encode())
    assert (fault.status, fault.code) == (status, code)
    assert fault.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"<html>", "the provider answered with status 502 and nothing that says why"),
        (b"", "the provider answered with status 502 and nothing that says why"),
        (b"upstream connect error", "upstream connect error"),
    ],
)
def test_errors_that_are_no_json(body: bytes, message: str) -> None:
    fault = BEDROCK.read_error(502, body)
    assert (fault.status, fault.code, fault.message) == (502, "bad_gateway", message)
    assert BEDROCK.write_error(fault, "req_1") == {"__type": "InternalServerException", "message": message, "requestId": "req_1"}


def test_lists_of_models() -> None:
    listed = BEDROCK.list_models(["a.b:0", "c"])["modelSummaries"]
    assert [one["modelId"] for one in listed] == ["a.b:0", "c"]
    assert BEDROCK.describe_model("c")["modelDetails"] == listed[1]
    assert all(one["modelArn"].endswith("/" + one["modelId"]) for one in listed)
    assert BEDROCK.credential("k") == (("authorization", "Bearer k"),)


COUNT = BEDROCK.operations["count"]


def test_a_recorded_count_means_the_same_in_its_own_dialect() -> None:
    (file,) = (RECORDINGS / "bedrock").glob("*count_tokens*.json")
    (pair,) = json.loads(file.read_text())
    asked, told = json.loads(pair["request"]["text"]), pair["response"]["json"]
    assert COUNT.write_request(COUNT.read_request({**asked, "model": "m", "stream": False}), CLAUDE) == asked
    assert COUNT.write_answer(COUNT.read_answer(told)) == told
    assert BEDROCK.usage(json.dumps(told).encode()) == (None, ""), "counting tokens uses none"


def test_counts_of_other_dialects() -> None:
    there = DIALECTS["anthropic"].operations["count"]
    asked = {
        "model": "m",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }
    written = COUNT.write_request(there.read_request(asked), CLAUDE)
    check_request(written["input"]["converse"])
    assert written["input"]["converse"].keys() == {"messages", "system", "toolConfig"}
    back = there.write_request(COUNT.read_request({**written, "model": "m"}), "claude-sonnet-4-5")
    assert back["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert there.write_answer(COUNT.read_answer({"inputTokens": 11})) == {"input_tokens": 11}
    assert COUNT.write_answer(there.read_answer({"input_tokens": 11})) == {"inputTokens": 11}


@pytest.mark.parametrize("body", [{}, {"input": 5}, {"input": {"invokeModel": {"body": ""}}}, {"input": {"converse": {"messages": 5}}}])
def test_what_is_no_question_for_a_count(body: dict[str, Any]) -> None:
    with pytest.raises(Reject):
        COUNT.read_request({**body, "model": "m"})
    with pytest.raises(ValueError, match="inputTokens"):
        COUNT.read_answer(body)


@pytest.mark.parametrize("member", ["json", "guardContent", "citationsContent", "searchResult"])
@pytest.mark.parametrize("block", [{"text": "x"}, {"document": {"name": "n", "format": "txt", "source": {"text": "t"}}}])
def test_a_field_of_a_client_is_not_taken_for_another_kind_of_block(block: dict[str, Any], member: str) -> None:
    content = [{**block, member: "model"}, {"toolResult": {"toolUseId": "t", "content": [{"text": "x", member: "model"}]}}]
    body = {"model": CLAUDE, "messages": [{"role": "user", "content": content}]}
    conversation = BEDROCK.read_request(body)
    assert BEDROCK.write_request(conversation, CLAUDE)["messages"] == body["messages"]


def test_a_marker_within_a_tools_result_stands_behind_it() -> None:
    inside = {"type": "text", "text": "Sunny.", "cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [inside]}]},
    ]
    conversation = DIALECTS["anthropic"].read_request({"model": "m", "max_tokens": 9, "messages": messages})
    result, point = BEDROCK.write_request(conversation, CLAUDE)["messages"][2]["content"]
    assert result["toolResult"]["content"] == [{"text": "Sunny."}]
    assert point == {"cachePoint": {"type": "default"}}
    assert conversation.dropped == []
