"""What a request needs, found by its bytes first: the same as its dialect's reader finds."""

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.aside import Here, Job, Undone
from extproc.chores import Outcomes, do
from extproc.config.when import Need
from extproc.dialects import DIALECTS
from extproc.dialects.hub import Audio, Block, Conversation, Document, Image, Opaque, ToolCall, ToolResult, Video
from extproc.needs import NEEDS, TABLE, Needed, Needing, hinting, look_aside, may_need, needs, said
from tests.dialects.features import FEATURES
from tests.dialects.traffic import MODEL, TRANSLATED
from tests.scene import head, request, run

T = TypeVar("T")
ALL = frozenset(NEEDS)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"images": {}}}}}

_BLOCKS = {Image: "images", Audio: "audio", Video: "video", Document: "documents", ToolCall: "tools", ToolResult: "tools"}
_ONLY_THERE = {
    "input_file": "documents", "file": "documents", "document": "documents", "container_upload": "documents", "image": "images",
    "input_image": "images", "executableCode": "tools", "codeExecutionResult": "tools", "server_tool_use": "tools", "mcp_tool_use": "tools",
    "mcp_tool_result": "tools",
}  # fmt: skip
"""Kinds of blocks that one dialect alone can say."""
_STORED = {"image": "images", "audio": "audio", "video": "video", "application": "documents", "": "documents"}


def heard(conversation: Conversation) -> set[str]:
    """The same by what a reader made of the request."""
    found = {need for message in [*conversation.messages, conversation.system] if message for need in _held(message.blocks)}
    if conversation.tools or conversation.extra.get("mcp_servers"):
        found.add("tools")
    if conversation.format is not None and conversation.format.kind != "text":
        found.add("structured_output")
    thinking = conversation.thinking
    if thinking is not None and (thinking.mode not in ("", "disabled") or thinking.effort not in ("", "none") or thinking.budget):
        found.add("reasoning")
    listed = conversation.extra.get("modalities") or conversation.extra.get("generationConfig.responseModalities") or []
    return found | {need for need, word in (("images", "image"), ("audio", "audio")) if word in [one.lower() for one in listed]}


def _held(blocks: list[Block]) -> Iterator[str]:
    for block in blocks:
        if type(block) in _BLOCKS:
            yield _BLOCKS[type(block)]
        if type(block) is ToolResult:
            yield from _held(block.blocks)
        if type(block) is Opaque and block.kind == "fileData":  # in a store that Google alone can read
            stored = block.value["fileData"]
            yield _STORED[(stored.get("mimeType") or stored.get("mime_type", "")).partition("/")[0]]
        elif type(block) is Opaque and block.kind in _ONLY_THERE:
            yield _ONLY_THERE[block.kind]


def agree(dialect: str, document: dict[str, Any]) -> None:
    read = heard(DIALECTS[dialect].read_request({"model": MODEL[dialect], **document}))
    assert said(dialect, document) == read
    plain = msgspec.json.encode(document)
    for body in (plain, _escaped(plain)) if len(plain) < _SHORT else (plain,):
        hinted = hinting(dialect, body, ALL)
        assert read <= hinted
        assert may_need(dialect, body, ALL) is bool(hinted)
        assert hinted & said(dialect, msgspec.json.decode(body)) == read


_SHORT = 2_000
"""Bytes; of longer bodies it is the same."""


def _escaped(plain: bytes) -> bytes:
    """The same JSON, all of whose letters are written by their numbers."""
    body = plain.decode()
    inside, out = False, []
    for at, char in enumerate(body):
        if char == '"' and body[at - 1] != "\\":
            inside = not inside
        kept = not (inside and char.isalpha() and char.isascii() and body[at - 1] != "\\" and "\\u" not in body[max(0, at - 6) : at])
        out.append(char if kept else f"\\u{ord(char):04x}")
    return "".join(out).encode()


def test_recorded_requests() -> None:
    """All in one test: each takes less than its place in a list of tests would."""
    for exchange in TRANSLATED:
        agree(exchange.dialect, exchange.request)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_that_can_be_asked(dialect: str) -> None:
    for feature in FEATURES:
        agree(dialect, DIALECTS[dialect].write_request(feature.make(dialect), MODEL[dialect]))


def test_all_of_them_are_in_the_table() -> None:
    assert set(get_args(Need)) == set(NEEDS)
    assert TABLE.keys() == DIALECTS.keys()


PART = st.sampled_from(
    [
        {"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://x.test/a"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}, {"type": "text", "text": '"image_url"'},
    ]
)  # fmt: skip
MESSAGE = st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=5) | st.lists(PART, max_size=3)})
BODY = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=4)},
    optional={
        "tools": st.just([]) | st.just([TOOL]),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
        "reasoning_effort": st.sampled_from(["none", "low"]),
        "modalities": st.lists(st.sampled_from(["text", "audio"]), max_size=2),
        "stream": st.booleans(),
    },
)


@given(BODY, st.frozensets(st.sampled_from(NEEDS)))
@settings(max_examples=50)
def test_of_what_is_asked_for(document: dict[str, Any], wanted: frozenset[str]) -> None:
    asked = request(body={"model": "m", **document})
    read = heard(DIALECTS["openai"].read_request({"model": "m", **document}))
    assert needs(asked, wanted) == wanted & (read | ({"stream"} if document.get("stream") else set()))


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/v1/embeddings", {"input": "x", "tools": [{}]}, set()),
        ("/v1/messages/count_tokens", {"tools": [{"name": "f"}], "messages": []}, {"tools"}),
        ("/v1beta/models/m:countTokens", {"generateContentRequest": {"contents": [], "tools": [{"codeExecution": {}}]}}, {"tools"}),
        ("/model/m/count-tokens", {"input": {"converse": {"messages": [{"content": [{"image": {"format": "png"}}]}]}}}, {"images"}),
        ("/v1beta/models/m:streamGenerateContent", {"contents": []}, {"stream"}),
        ("/v1beta/models/m:generateContent", {"contents": {"parts": {"fileData": {"fileUri": "https://youtu.be/x"}}}}, {"video"}),
        ("/api/generate", {"prompt": "x", "images": ["eA=="], "stream": False}, {"images"}),
        ("/v1/completions", {"prompt": "x"}, set()),
        ("/v1/files", b"", set()),
    ],
)
def test_other_paths(path: str, body: Any, found: set[str]) -> None:
    body = {"model": "m", **body} if type(body) is dict else body
    assert needs(request(head(path), body), ALL) == found


class Full:
    """There is no room aside."""

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        raise Undone(503, "overloaded", "Too much to do.")


def test_a_bulky_body_is_known_by_its_words_where_nobody_looks_into_it() -> None:
    parts = [{"type": "text", "text": "image_url"}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}], "tools": [TOOL]}
    assert needs(request(body=body), ALL) == {"tools"}
    asked = request(body=body)
    asked.bulky = True
    assert needs(asked, ALL) == {"images", "tools"}
    run(look_aside(asked, ALL, Full()))
    assert needs(asked, ALL) == {"images", "tools"}
    run(look_aside(asked, ALL, Here()))
    assert needs(asked, ALL) == {"tools"}
    assert asked._json is None, "nothing was decoded here"


def test_a_body_without_the_words_is_not_looked_into() -> None:
    asked = request(body={"model": "m", "messages": []})
    asked.bulky = True
    run(look_aside(asked, ALL, Full()))
    assert asked.needs is None


def test_the_job_is_done_beside_the_worker() -> None:
    body = msgspec.json.encode({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]}]})
    outcome = do(msgspec.msgpack.encode(Needing("gemini")), body)
    assert msgspec.msgpack.decode(outcome, type=Outcomes) == Needed(("images",))


@pytest.mark.parametrize(
    "document", [{"messages": 1}, {"messages": [1, [[]], {"content": {"content": None}}]}, {"tools": 5, "modalities": 1}]
)
def test_what_is_wrong_is_not_ours_to_tell(document: dict[str, Any]) -> None:
    for dialect in DIALECTS:
        assert said(dialect, document) <= {"tools"}
