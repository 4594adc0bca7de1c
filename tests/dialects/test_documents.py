"""What a search found, for those who know it from other documents and for those who do not."""

import copy
import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.documents import tagged
from extproc.dialects.hub import Document

CITED = {"citations": {"enabled": True}}
FOUND: dict[str, Any] = {
    "type": "search_result",
    "source": "https://x.test/bern",
    "title": "Bern",
    "content": [{"type": "text", "text": "Bern lies on the Aare."}, {"type": "text", "text": "It is a city."}],
}
THERE: dict[str, Any] = {
    "searchResult": {"source": FOUND["source"], "title": "Bern", "content": [{"text": one["text"]} for one in FOUND["content"]]}
}
TAGGED = '<document title="Bern" source="https://x.test/bern">\nBern lies on the Aare.\n\nIt is a city.\n</document>'
ASKED = {"type": "text", "text": "Where does Bern lie?"}
CALL = {"type": "tool_use", "id": "call_1", "name": "search", "input": {"query": "Bern"}}
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = {
    "openai": "gpt-5",
    "responses": "gpt-5",
    "gemini": "gemini-3-pro",
    "cohere": "command-a-03-2025",
    "ollama": "qwen3",
    "bedrock": CLAUDE,
}


def _anthropic(*found: dict[str, Any]) -> dict[str, Any]:
    """A request with these blocks, given by the user."""
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": [*found, ASKED]}]}


def _called(*found: dict[str, Any]) -> dict[str, Any]:
    """A request with these blocks, which a tool has found."""
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": [*found]}]}
    tools = [{"name": "search", "input_schema": {"type": "object"}}]
    asked = [{"role": "user", "content": [ASKED]}, {"role": "assistant", "content": [CALL]}, result]
    return {"model": "m", "max_tokens": 100, "messages": asked, "tools": tools}


def _written(body: dict[str, Any], target: str, model: str, source: str = "anthropic") -> tuple[Any, list[str]]:
    question = DIALECTS[source].read_request({"model": "m", **copy.deepcopy(body)})
    return DIALECTS[target].write_request(question, model), question.dropped


def _strings(value: Any) -> list[str]:
    """All that a request says, somewhere."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _strings(one)]


ODD: list[dict[str, Any]] = [
    {**FOUND, "content": []},
    {**FOUND, "content": "words"},
    {**FOUND, "source": ""},
    {**FOUND, "content": [{"type": "text", "text": "x", "new": 1}]},
]


@pytest.mark.parametrize("block", [FOUND, {**FOUND, **CITED}, {**FOUND, "new": 1, "cache_control": {"type": "ephemeral"}}, *ODD])
def test_it_comes_back_as_it_was(block: dict[str, Any]) -> None:
    for body in (_anthropic(block), _called(block)):
        assert _written(body, "anthropic", "m") == (body, [])


@pytest.mark.parametrize("cited", [{}, CITED])
def test_bedrock_has_the_same(cited: dict[str, Any]) -> None:
    there = {"searchResult": {**THERE["searchResult"], **cited}}
    body, dropped = _written(_anthropic({**FOUND, **cited}), "bedrock", CLAUDE)
    assert (body["messages"][0]["content"], dropped) == ([there, {"text": ASKED["text"]}], [])
    body, dropped = _written(_called({**FOUND, **cited}), "bedrock", CLAUDE)
    assert (body["messages"][-1]["content"][0]["toolResult"]["content"], dropped) == ([there], [])
    given = {"messages": [{"role": "user", "content": [there, {"text": ASKED["text"]}]}]}
    assert _written(given, "bedrock", "m", "bedrock") == (given, [])
    body, dropped = _written(given, "anthropic", "claude-sonnet-4-5", "bedrock")
    assert (body["messages"][0]["content"], dropped) == ([{**FOUND, **cited}, ASKED], [])


def test_documents_that_are_to_be_cited_go_both_ways() -> None:
    document = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        "title": "a",
        **CITED,
    }
    body, dropped = _written(_anthropic(document), "bedrock", CLAUDE)
    there = {"document": {"format": "pdf", "source": {"bytes": "JVBERg=="}, "name": "a", **CITED}}
    assert (body["messages"][0]["content"][0], dropped) == (there, [])
    body, dropped = _written(body, "anthropic", "claude-sonnet-4-5", "bedrock")
    assert (body["messages"][0]["content"][0], dropped) == (document, [])
    _, dropped = _written(_anthropic(document), "bedrock", "amazon.nova-pro-v1:0")
    assert dropped == ["messages[].content[].citations"]


@pytest.mark.parametrize("target", ["openai", "responses", "gemini", "cohere", "ollama"])
def test_elsewhere_it_is_a_text_with_title_and_source(target: str) -> None:
    for body in (_anthropic(FOUND), _called(FOUND)):
        written, dropped = _written(body, target, MODELS[target])
        assert [text for text in _strings(written) if TAGGED in text]
        assert dropped == []
    _, dropped = _written(_anthropic({**FOUND, **CITED}), target, MODELS[target])
    assert dropped == ["messages[].content[].citations"]


@pytest.mark.parametrize(
    ("source", "target", "model"),
    [("anthropic", "bedrock", "amazon.nova-pro-v1:0"), ("anthropic", "bedrock", "anthropic.claude-3-haiku-20240307-v1:0")]
    + [("bedrock", "anthropic", name) for name in ("deepseek-chat", "claude-3-opus-20240229")],
)
def test_models_that_do_not_know_it_get_a_text(source: str, target: str, model: str) -> None:
    there = {"messages": [{"role": "user", "content": [THERE, {"text": ASKED["text"]}]}]}
    body, dropped = _written(_anthropic(FOUND) if source == "anthropic" else there, target, model, source)
    assert body["messages"][0]["content"][0]["text"] == TAGGED
    assert dropped == []


@pytest.mark.parametrize("target", ["openai", "gemini", "cohere", "ollama"])
def test_what_a_tool_found_stands_in_its_result(target: str) -> None:
    written, _ = _written(_called(FOUND), target, MODELS[target])
    last = (written.get("messages") or written["contents"])[-1]
    result = last["content"] if "content" in last else last["parts"][0]["functionResponse"]["response"]["output"]
    assert result == TAGGED


@pytest.mark.parametrize("target", MODELS)
def test_what_cannot_be_read_of_it_is_named(target: str) -> None:
    for block in ODD:
        written, dropped = _written(_anthropic(block), target, MODELS[target])
        assert "Bern lies" not in json.dumps(written)
        assert dropped == ["messages[].content[].search_result"]


def test_what_a_stranger_calls_his_page_does_not_end_the_tag() -> None:
    found = Document(text="Words.", name='T"><x', url='https://x.test/?a="&b=<')
    assert tagged(found, "Words.").startswith('<document title="T&quot;&gt;&lt;x" source="https://x.test/?a=&quot;&amp;b=&lt;">\n')


def test_what_is_not_to_be_cited_is_no_loss() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Words."}
    document = {"type": "document", "source": source, "citations": {"enabled": False}}
    there = {"document": {"name": "a", "source": {"text": "Words."}, "citations": {"enabled": False}}}
    pdf = {"document": {"name": "a", "format": "pdf", "source": {"bytes": "JVBERg=="}, "citations": {"enabled": False}}}
    found = {"searchResult": {**THERE["searchResult"], "citations": {"enabled": False}}}
    of_bedrock = {"messages": [{"role": "user", "content": [there, found, pdf]}]}
    for source_dialect, body in (("anthropic", _anthropic(document, {**FOUND, "citations": {"enabled": False}})), ("bedrock", of_bedrock)):
        for target, model in {**MODELS, "anthropic": "claude-sonnet-4-5"}.items():
            written, dropped = _written(body, target, model, source_dialect)
            assert [name for name in dropped if "citations" in name or name.endswith((".document", ".searchResult"))] == (
                ["messages[].content[].document"] if source_dialect == "bedrock" and target in ("cohere", "ollama") else []
            )
            if target == source_dialect:
                assert written["messages"] == body["messages"]
