"""What providers refuse is never written and always named; what they call otherwise is written so. Golden pairs as in `test_golden.py`."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.config.catalogue import catalogue
from extproc.dialects import DIALECTS
from extproc.dialects.models import Abilities, abilities
from extproc.dialects.quirks import EFFORTS, NONE, Choice, Effort, Quirks, finished, nearest_effort

GOLDEN = Path(__file__).parent / "golden" / "quirks"
LINE = "\n----------\n"
OPENAI, ANTHROPIC = DIALECTS["openai"], DIALECTS["anthropic"]


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_for_a_provider(file: Path, request: pytest.FixtureRequest) -> None:
    given, _, expected = file.read_text().partition(LINE)
    asked = json.loads(given)
    known = catalogue()[asked["provider"]]
    conversation = DIALECTS[asked["from"]].read_request(asked["request"])
    body = DIALECTS[known.dialect].write_request(conversation, asked["model"], known.quirks)
    result = {"request": body, "dropped": conversation.dropped}
    if request.config.getoption("--update", default=False):
        file.write_text(given + LINE + json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    assert result == json.loads(expected)


# Everything that Anthropic's dialect can ask, by the field of OpenAI's that asks for it; and what it is called there.
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"temperature": 0.5}, "temperature"),
    "top_p": ({"top_p": 0.5}, "top_p"),
    "top_k": ({"top_k": 5}, "top_k"),
    "stop": ({"stop_sequences": ["a"]}, "stop_sequences"),
    "max_tokens": ({"max_tokens": 5}, "max_tokens"),
    "user": ({"metadata": {"user_id": "u"}}, "metadata.user_id"),
    "stream": ({"stream": True}, "stream"),
    "service_tier": ({"service_tier": "standard_only"}, "service_tier"),
    "reasoning_effort": ({"output_config": {"effort": "high"}}, "output_config.effort"),
    "response_format": ({"output_format": {"type": "json_schema", "schema": {"type": "object"}}}, "output_config.format"),
    "tools": ({"tools": [{"name": "f", "input_schema": {}}]}, "tools"),
    "tool_choice": ({"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "any"}}, "tool_choice"),
}
REQUESTS = st.sets(st.sampled_from(sorted(SAID))).map(
    lambda names: (
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        | {key: value for name in sorted(names) for key, value in SAID[name][0].items()}
    )
)
FIELDS = st.sampled_from(sorted(SAID))


@given(body=REQUESTS, refused=st.sets(FIELDS))
def test_what_is_refused_is_never_written_and_always_named(body: dict[str, Any], refused: set[str]) -> None:
    freely = OPENAI.write_request(ANTHROPIC.read_request(body), "gemini-2.5-pro", Quirks(top_k=True))
    conversation = ANTHROPIC.read_request(body)
    written = OPENAI.write_request(conversation, "gemini-2.5-pro", Quirks(top_k=True, refuses=tuple(sorted(refused))))
    assert not refused & written.keys()
    assert {name: value for name, value in freely.items() if name not in refused} == written
    assert {SAID[name][1] for name in refused & freely.keys()} <= set(conversation.dropped)


@given(body=REQUESTS, refused=st.sets(st.sampled_from(["temperature", "stop_sequences", "metadata", "tools", "stream", "system"])))
def test_anthropics_dialect_refuses_as_well(body: dict[str, Any], refused: set[str]) -> None:
    there = ANTHROPIC.read_request(body)
    question = OPENAI.read_request(OPENAI.write_request(there, "gpt-4o"))
    freely = ANTHROPIC.write_request(question, "claude-sonnet-4-5")
    question = OPENAI.read_request(OPENAI.write_request(ANTHROPIC.read_request(body), "gpt-4o"))
    written = ANTHROPIC.write_request(question, "claude-sonnet-4-5", Quirks(refuses=tuple(refused)))
    assert not refused & written.keys()
    called = {"stop_sequences": "stop", "metadata": "user"}
    assert {called.get(name, name) for name in refused & freely.keys()} <= set(question.dropped)


@given(st.dictionaries(st.sampled_from(["temperature", "n", "logprobs", "x"]), st.sampled_from([0, 1, 0.5, True, False])))
def test_what_asks_for_nothing_is_refused_in_silence(body: dict[str, Any]) -> None:
    named: list[str] = []
    neutral = {"temperature": 1, "n": 1, "logprobs": False}
    assert finished(dict(body), Quirks(refuses=("temperature", "n", "logprobs")), named.append).keys() <= {"x"}
    assert set(named) == {field for field in neutral.keys() & body.keys() if body[field] != neutral[field]}


@given(st.sets(st.sampled_from(sorted(SAID))), st.dictionaries(FIELDS, st.from_regex(r"their_[a-z]{1,5}", fullmatch=True), max_size=3))
def test_other_names(said: set[str], names: dict[str, str]) -> None:
    body = dict.fromkeys(sorted(said), 1)
    written = finished(dict(body), Quirks(rename=names), pytest.fail)
    assert set(written) == {names.get(name, name) for name in body}


@given(st.sampled_from(EFFORTS), st.sets(st.sampled_from(EFFORTS)).map(tuple))
def test_the_nearest_effort(wanted: Effort, known: tuple[Effort, ...]) -> None:
    found = nearest_effort(wanted, known)
    if not known or wanted in known:
        assert found == wanted
    elif found:
        assert found in known and wanted != "none" and found != "none"
    else:
        assert wanted == "none" or set(known) == {"none"}


def _asked(quirks: Quirks, model: str = "m", /, **more: Any) -> tuple[dict[str, Any], list[str]]:
    messages = more.pop("messages", [{"role": "user", "content": "x"}])
    conversation = ANTHROPIC.read_request({"model": "m", "max_tokens": 9, "messages": messages, **more})
    return OPENAI.write_request(conversation, model, quirks), conversation.dropped


@pytest.mark.parametrize(
    ("quirks", "model", "thinking", "effort", "written", "dropped"),
    [
        (NONE, "gpt-5", None, "high", {"reasoning_effort": "high"}, []),
        (NONE, "gpt-4o", None, "high", {}, ["output_config.effort"]),
        (NONE, "gpt-5", {"type": "enabled", "budget_tokens": 2048}, None, {"reasoning_effort": "low"}, []),
        (NONE, "gpt-5", {"type": "disabled"}, None, {}, []),
        (Quirks(efforts=("low", "high")), "gpt-5", None, "xhigh", {"reasoning_effort": "high"}, []),
        (Quirks(efforts=("high",)), "gpt-5", None, "low", {"reasoning_effort": "high"}, []),
        (Quirks(reasoning="none"), "gpt-5", None, "low", {}, ["output_config.effort"]),
        (Quirks(reasoning="none"), "gpt-5", {"type": "disabled"}, None, {}, []),
        (Quirks(reasoning="reasoning"), "m", None, "low", {"reasoning": {"effort": "low"}}, []),
        (Quirks(reasoning="reasoning"), "m", {"type": "enabled", "budget_tokens": 2048}, None, {"reasoning": {"max_tokens": 2048}}, []),
        (Quirks(reasoning="reasoning"), "m", {"type": "adaptive"}, None, {"reasoning": {"enabled": True}}, []),
        (Quirks(reasoning="reasoning"), "m", {"type": "disabled"}, None, {"reasoning": {"effort": "none"}}, []),
        (
            Quirks(reasoning="enable_thinking"),
            "qwen3-8b",
            {"type": "enabled", "budget_tokens": 2048},
            None,
            {"enable_thinking": True, "thinking_budget": 2048},
            [],
        ),
        (Quirks(reasoning="enable_thinking"), "qwen3-8b", None, "high", {"enable_thinking": True}, ["output_config.effort"]),
        (Quirks(reasoning="enable_thinking"), "qwen3-8b", {"type": "disabled"}, None, {"enable_thinking": False}, []),
        (Quirks(reasoning="enable_thinking"), "qwen2.5-7b", {"type": "disabled"}, None, {}, []),
        (Quirks(reasoning="enable_thinking"), "qwen2.5-7b", None, "high", {}, ["output_config.effort"]),
        (Quirks(reasoning="thinking"), "glm-4.6", {"type": "adaptive"}, None, {"thinking": {"type": "enabled"}}, []),
        (Quirks(reasoning="thinking"), "glm-4.6", {"type": "disabled"}, None, {"thinking": {"type": "disabled"}}, []),
        (
            Quirks(reasoning="thinking", efforts=("high", "max")),
            "deepseek-chat",
            None,
            "xhigh",
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            [],
        ),
    ],
)
def test_how_reasoning_is_asked_for(
    quirks: Quirks, model: str, thinking: Any, effort: str | None, written: dict[str, Any], dropped: list[str]
) -> None:
    more = ({"thinking": thinking} if thinking else {}) | ({"output_config": {"effort": effort}} if effort else {})
    body, lost = _asked(quirks, model, **more)
    fields = ("reasoning_effort", "reasoning", "enable_thinking", "thinking_budget", "thinking")
    assert {field: body[field] for field in fields if field in body} == written
    assert lost == dropped


@pytest.mark.parametrize("most", ["json_object", "none"])
@pytest.mark.parametrize("system", [None, "Be brief.", [{"type": "text", "text": "Be brief."}]])
def test_what_is_not_promised_becomes_an_instruction(most: Any, system: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted: dict[str, Any] = {"output_format": {"type": "json_schema", "schema": schema}}
    body, dropped = _asked(Quirks(structured=most), **wanted, **({"system": system} if system else {}))
    assert body.get("response_format") == ({"type": "json_object"} if most == "json_object" else None)
    first = body["messages"][0]
    assert first["role"] == "system"
    assert first["content"].startswith("Be brief.\n\nAnswer with one JSON object" if system else "Answer with one JSON object")
    assert json.dumps(schema, separators=(",", ":")) in first["content"]
    assert dropped == ["output_config.format"]


CALLS: list[dict[str, Any]] = [
    {"role": "user", "content": "x"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "tool_use", "id": "toolu_01A", "name": "f", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A", "content": "y"}]},
]
TOOLS = [{"name": "f", "input_schema": {}}]


def test_ids_of_tool_calls() -> None:
    body, _ = _asked(Quirks(call_id_length=9), messages=CALLS, tools=TOOLS)
    call, result = body["messages"][1]["tool_calls"][0]["id"], body["messages"][2]["tool_call_id"]
    assert call == result
    assert re.fullmatch(r"[A-Za-z0-9]{9}", call)
    again, _ = _asked(Quirks(call_id_length=9), messages=json.loads(json.dumps(CALLS).replace("toolu_01A", call)), tools=TOOLS)
    assert again["messages"][2]["tool_call_id"] == call


def test_reasoning_goes_back_where_it_is_wanted() -> None:
    body, dropped = _asked(Quirks(reasoning_back="reasoning_content"), messages=CALLS, tools=TOOLS)
    assert body["messages"][1]["reasoning_content"] == "hm"
    assert dropped == []
    body, dropped = _asked(NONE, messages=CALLS, tools=TOOLS)
    assert "reasoning_content" not in body["messages"][1]
    assert dropped == ["messages[].content[].thinking"]


@pytest.mark.parametrize(("mode", "written"), [("auto", "auto"), ("any", "required"), ("none", "none"), ("tool", "tool")])
@pytest.mark.parametrize("known", [(), ("auto",), get_args(Choice)])
def test_choice_of_tools(mode: str, written: Choice, known: tuple[Choice, ...]) -> None:
    choice = {"type": mode, "name": "f"} if mode == "tool" else {"type": mode}
    body, dropped = _asked(Quirks(tool_choice=known), tools=TOOLS, tool_choice=choice)
    assert ("tool_choice" in body) == (written in known)
    assert dropped == ([] if written in known else ["tool_choice"])


def test_the_rest() -> None:
    many: dict[str, Any] = {"stop_sequences": list("abcdef"), "metadata": {"user_id": "u" * 99}, "stream": True, "top_k": 3}
    body, dropped = _asked(NONE, **many)
    assert (body["stop"], len(body["user"]), body["stream_options"]) == (list("abcd"), 64, {"include_usage": True})
    assert dropped == ["stop_sequences", "top_k"]
    body, dropped = _asked(Quirks(stop_limit=1, user_limit=8, stream_usage=False, top_k=True), **many)
    assert (body["stop"], len(body["user"]), "stream_options" in body, body["top_k"]) == (["a"], 8, False, 3)
    assert dropped == ["stop_sequences"]
    strict = {"name": "f", "strict": True, "input_schema": {"type": "object", "properties": {}, "additionalProperties": False}}
    assert _asked(NONE, tools=[strict])[0]["tools"][0]["function"]["strict"] is True
    body, dropped = _asked(Quirks(strict=False), tools=[strict])
    assert ("strict" in body["tools"][0]["function"], dropped) == (False, ["tools[].strict"])
    assert _asked(Quirks(max_tokens_field="max_completion_tokens"))[0]["max_completion_tokens"] == 9
    assert _asked(Quirks(max_tokens_field="max_tokens"), "gpt-5")[0]["max_tokens"] == 9


def test_only_openais_models_know_developers() -> None:
    conversation = ANTHROPIC.read_request({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
    conversation.messages[0].role = "developer"
    roles = [
        OPENAI.write_request(conversation, model, quirks)["messages"][0]["role"]
        for model, quirks in (("gpt-5", NONE), ("llama", NONE), ("gpt-5", Quirks(developer=False)), ("llama", Quirks(developer=True)))
    ]
    assert roles == ["developer", "system", "system", "developer"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.3-70b", Abilities()),
        ("openai/gpt-4o-mini", Abilities(max_tokens_field="max_completion_tokens", developer=True)),
        ("gpt-5-chat-latest", Abilities(max_tokens_field="max_completion_tokens", developer=True, uploads=True)),
        ("openai/gpt-oss-120b", Abilities(reasons=True)),
        ("Qwen/Qwen3-32B", Abilities(reasons=True, thinks=True)),
        ("zai-org/GLM-4.6", Abilities(thinks=True)),
        ("grok-4", Abilities(refuses=("presence_penalty", "frequency_penalty", "stop"))),
        ("grok-4.3", Abilities(reasons=True, refuses=("presence_penalty", "frequency_penalty", "stop"))),
        ("grok-4-1-fast-non-reasoning", Abilities()),
        ("my-o3-clone", Abilities()),
    ],
)
def test_abilities_of_models(name: str, expected: Abilities) -> None:
    assert abilities(name) == expected


def test_the_catalogue_s_quirks_name_fields_that_are_written() -> None:
    written = {*SAID, "seed", "n", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "parallel_tool_calls"}
    for name, known in catalogue().items():
        assert set(known.quirks.refuses) | set(known.quirks.rename) <= written, name
        assert msgspec.convert(msgspec.to_builtins(known.quirks), Quirks) == known.quirks
