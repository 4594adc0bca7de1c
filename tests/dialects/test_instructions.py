"""Instructions stay where the client said them, also for providers that have one place for them at the front."""

from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Reject

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
FIRST, USER, AGAIN = ({"role": role, "content": text} for role, text in (("system", "Be brief."), ("user", "Hi"), ("user", "Go on.")))
MODEL, LATE = {"role": "assistant", "content": "Hello."}, {"role": "system", "content": "In German."}
CALLS, RESULT = (
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
)
TAGGED = "<system>\nIn German.\n</system>"
NEW, OLD = "claude-opus-4-8", "claude-sonnet-4-5"
ELSEWHERE = {"anthropic": OLD, "gemini": "gemini-3-pro", "bedrock": "anthropic.claude-opus-4-8", "cohere": "command-a-03-2025"}


def _asked(target: str, model: str, *messages: dict[str, Any], quirks: Quirks = NONE) -> tuple[dict[str, Any], list[str]]:
    question = DIALECTS["openai"].read_request({"model": "m", "messages": list(messages)})
    return DIALECTS[target].write_request(question, model, quirks), question.dropped


def _turns(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Who says what, in any of the dialects."""
    turns = []
    for turn in body.get("messages") or body["contents"]:
        content = turn.get("content", turn.get("parts"))
        words = content if isinstance(content, str) else "|".join(_word(part) for part in content or ())
        turns.append((turn["role"].replace("model", "assistant"), words))
    return turns


def _word(part: dict[str, Any]) -> str:
    return part.get("text") or ("result" if {"toolResult", "functionResponse"} & {*part} or part.get("type") == "tool_result" else "call")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_late_instructions_are_said_in_place_and_named(target: str) -> None:
    body, dropped = _asked(target, ELSEWHERE[target], FIRST, USER, MODEL, LATE, AGAIN)
    after = [("user", TAGGED), ("user", "Go on.")] if target == "cohere" else [("user", f"{TAGGED}|Go on.")]
    first = [("system", "Be brief.")] if target == "cohere" else []
    assert _turns(body) == [*first, ("user", "Hi"), ("assistant", "Hello."), *after]
    assert dropped == ["messages[].role.system"]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_those_before_any_turn_stand_first(target: str) -> None:
    body, dropped = _asked(target, ELSEWHERE[target], FIRST, {**LATE, "role": "developer"}, USER)
    assert "In German." not in str(_turns(body)[-1])
    assert "Be brief." in str(body)
    assert "In German." in str(body)
    assert dropped == []


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nothing_comes_between_a_call_and_its_result(target: str) -> None:
    body, _ = _asked(target, ELSEWHERE[target], USER, CALLS, LATE, RESULT)
    if target == "cohere":
        assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "user"]
        assert body["messages"][-1]["content"] == TAGGED
    else:
        assert _turns(body) == [("user", "Hi"), ("assistant", "call"), ("user", f"result|{TAGGED}")]


@pytest.mark.parametrize(
    ("messages", "turns", "named"),
    [
        ((USER, LATE), [("user", "Hi"), ("system", "In German.")], False),
        ((USER, LATE, MODEL, AGAIN), [("user", "Hi"), ("system", "In German."), ("assistant", "Hello."), ("user", "Go on.")], False),
        ((USER, MODEL, LATE, AGAIN), [("user", "Hi"), ("assistant", "Hello."), ("user", "Go on."), ("system", "In German.")], False),
        ((USER, LATE, AGAIN, LATE), [("user", "Hi|Go on."), ("system", "In German.|In German.")], False),
        ((USER, CALLS, LATE, RESULT), [("user", "Hi"), ("assistant", "call"), ("user", "result"), ("system", "In German.")], False),
        ((USER, MODEL, LATE), [("user", "Hi"), ("assistant", "Hello."), ("user", TAGGED)], True),
        ((MODEL, LATE, AGAIN), [("user", "."), ("assistant", "Hello."), ("user", "Go on."), ("system", "In German.")], False),
        (
            (USER, MODEL, LATE, MODEL),
            [("user", "Hi"), ("assistant", "Hello."), ("user", TAGGED), ("assistant", "Hello."), ("user", ".")],
            True,
        ),
    ],
)
def test_claude_takes_them_after_the_user(messages: tuple[Any, ...], turns: list[Any], named: bool) -> None:
    body, dropped = _asked("anthropic", NEW, FIRST, *messages)
    assert _turns(body) == turns
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert dropped == (["messages[].role.system"] if named else [])


@pytest.mark.parametrize(
    ("model", "takes"),
    [("claude-opus-4-8", True), ("claude-opus-5-5", True), ("claude-fable-5", True), ("claude-mythos-5-1", True)]
    + [(name, False) for name in ("claude-opus-4-7", "claude-sonnet-5", "claude-haiku-4-5", "deepseek-chat", "MiniMax-M2")],
)
def test_which_models_take_them(model: str, takes: bool) -> None:
    body, _ = _asked("anthropic", model, USER, LATE)
    assert ("system" in [turn["role"] for turn in body["messages"]]) is takes
    body, dropped = _asked("anthropic", model, USER, LATE, quirks=Quirks(system_turns=False))
    assert _turns(body) == [("user", f"Hi|{TAGGED}")]
    assert dropped == ["messages[].role.system"]


def test_a_picture_among_them_is_the_users() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    late = {"role": "developer", "content": [{"type": "text", "text": "In German."}, picture]}
    body, dropped = _asked("anthropic", NEW, USER, late)
    assert [block["type"] for block in body["messages"][0]["content"]] == ["text", "text", "image"]
    assert dropped == ["messages[].role.developer"]


def test_thinking_goes_on_although_instructions_stand_behind_a_result() -> None:
    thought = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1"}
    for details, thinks in (([thought], True), ([], False)):
        question = DIALECTS["openai"].read_request(
            {"model": "m", "reasoning_effort": "high", "messages": [USER, {**CALLS, "reasoning_details": details}, RESULT, LATE]}
        )
        question.max_tokens = 8000
        body = DIALECTS["anthropic"].write_request(question, "claude-3-7-sonnet-latest")
        assert ("thinking" in body) is thinks


@pytest.mark.parametrize("target", ELSEWHERE)
def test_instructions_alone_are_no_answer_to_what_cannot_be_said(target: str) -> None:
    uploaded = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}
    with pytest.raises(Reject, match="nothing is left of the request"):
        _asked(target, ELSEWHERE[target], uploaded, LATE)
    assert _asked(target, ELSEWHERE[target], {"role": "user", "content": ""}, LATE)


@pytest.mark.parametrize("target", ["openai", "responses", "gemini", "cohere", "ollama", "bedrock"])
def test_what_is_lost_of_the_system_prompt_is_named_there(target: str) -> None:
    marked = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}, "riddle": 1}
    body = {"model": "m", "max_tokens": 9, "system": [marked], "messages": [USER]}
    question = DIALECTS["anthropic"].read_request(body)
    DIALECTS[target].write_request(question, "some-model")
    assert sorted(question.dropped) == ["system[].cache_control", "system[].riddle"]
    body["messages"] = [{"role": "user", "content": [{**marked, "text": "Hi"}]}]
    question = DIALECTS["anthropic"].read_request(body)
    DIALECTS[target].write_request(question, "some-model")
    own = [f"{place}.{name}" for place in ("messages[].content[]", "system[]") for name in ("cache_control", "riddle")]
    assert sorted(question.dropped) == own
