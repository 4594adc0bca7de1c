"""What Converse takes and answers, by its API reference: required members, unions of which one member is given, patterns and bounds.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the types below it. Names that no shape has are
wrong: Bedrock refuses them in a request, and no client looks for them in an answer.
"""

import base64
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

Check = Callable[[Any, str], None]


def word(pattern: str = r"(?s).*", most: int = 10**9) -> Check:
    def check(value: Any, path: str) -> None:
        assert isinstance(value, str), f"{path}: {value!r} is no string"
        assert re.fullmatch(pattern, value), f"{path}: {value[:80]!r} does not match {pattern}"
        assert len(value) <= most, f"{path}: longer than {most}"

    return check


def one_of(*words: str) -> Check:
    def check(value: Any, path: str) -> None:
        assert value in words, f"{path}: {value!r} is none of {words}"

    return check


def number(least: float, most: float, *kinds: type) -> Check:
    def check(value: Any, path: str) -> None:
        assert type(value) in kinds, f"{path}: {value!r} is no number"
        assert least <= value <= most, f"{path}: {value} is out of bounds"

    return check


def boolean(value: Any, path: str) -> None:
    assert type(value) is bool, f"{path}: {value!r} is no boolean"


def anything(value: Any, path: str) -> None:
    """JSON."""


def blob(value: Any, path: str) -> None:
    word()(value, path)
    base64.b64decode(value, validate=True)


def schema(value: Any, path: str) -> None:
    """JSON as text."""
    word()(value, path)
    assert isinstance(json.loads(value), dict), path


def struct(**members: Check) -> Check:
    """Members; those that end in `_` are required."""
    required = {name.rstrip("_") for name in members if name.endswith("_")}
    known = {name.rstrip("_"): check for name, check in members.items()}

    def check(value: Any, path: str) -> None:
        assert isinstance(value, dict), f"{path}: {value!r} is no object"
        assert value.keys() <= known.keys(), f"{path}: {value.keys() - known.keys()} are not known"
        assert required <= value.keys(), f"{path}: {required - value.keys()} are missing"
        for name, inner in value.items():
            known[name](inner, f"{path}.{name}")

    return check


def union(**members: Check) -> Check:
    inner = struct(**members)

    def check(value: Any, path: str) -> None:
        inner(value, path)
        assert len(value) == 1, f"{path}: {list(value)} where one is wanted"

    return check


def many(inner: Check, least: int = 0) -> Check:
    def check(value: Any, path: str) -> None:
        assert isinstance(value, list), f"{path}: {value!r} is no list"
        assert len(value) >= least, f"{path}: fewer than {least}"
        for i, one in enumerate(value):
            inner(one, f"{path}[{i}]")

    return check


COUNT = number(0, 2**31, int)
TEXT = word()
SAID = word(r"(?s).*\S.*")
NAME = word(r"[a-zA-Z0-9_-]+", 64)
ID = word(r"[a-zA-Z0-9_.:-]+", 64)
S3 = struct(uri_=word(r"s3://.*", 1024), bucketOwner=word(r"[0-9]{12}"))
SOURCE = union(bytes=blob, s3Location=S3)
CACHE = struct(type_=one_of("default"), ttl=one_of("5m", "1h"))
IMAGE = struct(format_=one_of("png", "jpeg", "gif", "webp"), source_=SOURCE)
# Underscores pass too, though the reference does not say so.
DOCUMENT = struct(
    name_=word(r"[A-Za-z0-9()\[\]_-]+( [A-Za-z0-9()\[\]_-]+)*", 200),
    format=one_of("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    source_=union(bytes=blob, s3Location=S3, text=TEXT),
    context=TEXT,
    citations=struct(enabled_=boolean),
)
VIDEO = struct(format_=one_of("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"), source_=SOURCE)
AUDIO = struct(format_=one_of("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "pcm", "webm"), source_=SOURCE)
LOCATION = union(web=struct(url=TEXT, domain=TEXT), documentChar=anything, documentPage=anything, documentChunk=anything)
CITATION = struct(title=TEXT, source=TEXT, sourceContent=many(union(text=TEXT)), location=LOCATION)
REASONING = union(reasoningText=struct(text_=TEXT, signature=TEXT), redactedContent=blob)


def json_object(value: Any, path: str) -> None:
    assert isinstance(value, dict), f"{path}: {value!r} is no object"


def content(text: Check, least: int) -> Check:
    """Content blocks; `text`: what a text may be."""
    result = union(json=json_object, text=text, image=IMAGE, document=DOCUMENT, video=VIDEO)
    return many(
        union(
            text=text,
            image=IMAGE,
            document=DOCUMENT,
            video=VIDEO,
            audio=AUDIO,
            toolUse=struct(toolUseId_=ID, name_=NAME, input_=json_object),
            toolResult=struct(toolUseId_=ID, content_=many(result, 1), status=one_of("success", "error")),
            cachePoint=CACHE,
            reasoningContent=REASONING,
            citationsContent=struct(content=many(union(text=TEXT)), citations=many(CITATION)),
        ),
        least,
    )


STRUCTURE = union(jsonSchema=struct(schema_=schema, name=TEXT, description=TEXT))
SPEC = struct(name_=NAME, description=SAID, inputSchema_=union(json=json_object), strict=boolean)
CHOICE = union(auto=struct(), any=struct(), tool=struct(name_=NAME))
REQUEST = struct(
    messages_=many(struct(role_=one_of("user", "assistant"), content_=content(SAID, 1)), 1),
    system=many(union(text=SAID, cachePoint=CACHE)),
    inferenceConfig=struct(
        maxTokens=number(1, 2**31, int), temperature=number(0, 1, int, float), topP=number(0, 1, int, float), stopSequences=many(SAID)
    ),
    toolConfig=struct(tools_=many(union(toolSpec=SPEC, systemTool=struct(name_=NAME), cachePoint=CACHE), 1), toolChoice=CHOICE),
    additionalModelRequestFields=json_object,
    requestMetadata=json_object,
    serviceTier=struct(type_=one_of("priority", "default", "flex", "reserved")),
    outputConfig=struct(textFormat=struct(type_=one_of("json_schema"), structure_=STRUCTURE)),
)

USAGE = struct(
    inputTokens_=COUNT,
    outputTokens_=COUNT,
    totalTokens_=COUNT,
    cacheReadInputTokens=COUNT,
    cacheWriteInputTokens=COUNT,
    cacheDetails=many(struct(ttl_=one_of("5m", "1h"), inputTokens_=COUNT)),
)
STOP = one_of(
    "end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered", "malformed_model_output",
    "malformed_tool_use", "model_context_window_exceeded",
)  # fmt: skip
METRICS = struct(latencyMs_=COUNT)
TIER = struct(type_=TEXT)
RESPONSE = struct(
    output_=union(message=struct(role_=one_of("assistant"), content_=content(TEXT, 0))),
    stopReason_=STOP,
    usage_=USAGE,
    metrics_=METRICS,
    additionalModelResponseFields=json_object,
    serviceTier=TIER,
)

START = union(toolUse=struct(toolUseId_=ID, name_=NAME), image=struct(format_=TEXT))
DELTA = union(
    text=TEXT,
    toolUse=struct(input_=TEXT),
    reasoningContent=union(text=TEXT, signature=TEXT, redactedContent=blob),
    citation=CITATION,
    image=struct(source=SOURCE),
)
EVENTS = {
    "messageStart": struct(role_=one_of("assistant")),
    "contentBlockStart": struct(start_=START, contentBlockIndex_=COUNT),
    "contentBlockDelta": struct(delta_=DELTA, contentBlockIndex_=COUNT),
    "contentBlockStop": struct(contentBlockIndex_=COUNT),
    "messageStop": struct(stopReason_=STOP, additionalModelResponseFields=json_object),
    "metadata": struct(usage_=USAGE, metrics_=METRICS, serviceTier=TIER),
}


def check_request(body: Any) -> None:
    """A request as Bedrock takes it, and the rules of turns."""
    REQUEST(json.loads(json.dumps(body)), "$")
    roles = [message["role"] for message in body["messages"]]
    assert all(one != other for one, other in pairwise(roles)), roles
    called: set[str] = set()
    names: list[str] = []
    for message in body["messages"]:
        blocks = message["content"]
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        assert {result["toolUseId"] for result in results} == called
        called = {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}
        documents = [block["document"]["name"] for block in blocks if "document" in block]
        assert not documents or any("text" in block for block in blocks), "a document needs a text"
        names += documents + [one["document"]["name"] for result in results for one in result["content"] if "document" in one]
    assert len(set(names)) == len(names), "names of documents have to differ"
    points = json.dumps(body).count('"cachePoint": ')
    assert points <= 4
    if any("toolUse" in block or "toolResult" in block for message in body["messages"] for block in message["content"]):
        assert body["toolConfig"]["tools"]


def check_response(body: Any) -> None:
    """An answer as a client wants it."""
    RESPONSE(json.loads(json.dumps(body)), "$")


def check_events(events: list[tuple[str, Any]]) -> list[Any]:
    """A stream as a client wants it: the events, and their grammar. Returns the content blocks that they add up to."""
    kinds = [kind for kind, _ in events]
    assert kinds[0] == "messageStart"
    assert kinds[-2:] == ["messageStop", "metadata"]
    assert kinds.count("messageStart") == kinds.count("messageStop") == kinds.count("metadata") == 1
    blocks: dict[int, dict[str, Any]] = {}
    closed: set[int] = set()
    for kind, value in events:
        EVENTS[kind](value, kind)
        index = value.get("contentBlockIndex")
        if index is None:
            continue
        assert index not in closed, f"{kind} of a block that is closed"
        if kind == "contentBlockStop":
            assert index in blocks
            closed.add(index)
        elif kind == "contentBlockStart":
            assert index == len(blocks)
            blocks[index] = {name: {**start, "input": ""} for name, start in value["start"].items()}
        else:
            assert index <= len(blocks)
            _add(blocks.setdefault(index, {}), value["delta"])
    assert closed == blocks.keys()
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return list(blocks.values())


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    ((kind, value),) = delta.items()
    if kind == "text":
        block["text"] = block.get("text", "") + value
    elif kind == "toolUse":
        block["toolUse"]["input"] += value["input"]
    elif kind == "reasoningContent":
        ((part, piece),) = value.items()
        inner = block.setdefault("reasoningContent", {})
        inner[part] = inner.get(part, "") + piece
    else:
        block.setdefault(kind, []).append(value)
