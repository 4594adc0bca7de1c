"""What a client has got wrong is told before a provider of another dialect is asked: which field it is, and what was expected there."""

from typing import Any

import pytest

from extproc.errors import Reject
from tests.cases import cases
from tests.scene import head
from tests.test_attempt import attempt, encoded

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "responses": "/v1/responses", "gemini": "/v1beta/models/m"}
HI: dict[str, dict[str, Any]] = {
    "openai": {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]},
    "anthropic": {"model": "gpt", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"model": "gpt", "input": "Hi"},
    "gemini": {"model": "gpt", "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
TOOL: dict[str, dict[str, Any]] = {
    "openai": {"tools": [{"type": "function", "function": {"name": "time"}}]},
    "anthropic": {"tools": [{"name": "time", "input_schema": {"type": "object"}}]},
    "responses": {"tools": [{"type": "function", "name": "time", "parameters": {}}]},
    "gemini": {"tools": [{"functionDeclarations": [{"name": "time"}]}]},
}


def choice(client: str, name: str) -> dict[str, Any]:
    """Only that tool is to be called."""
    choices: dict[str, dict[str, Any]] = {
        "openai": {"tool_choice": {"type": "function", "function": {"name": name}}},
        "anthropic": {"tool_choice": {"type": "tool", "name": name}},
        "responses": {"tool_choice": {"type": "function", "name": name}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}},
    }
    return choices[client]


def ask(client: str, provider: str, **body: Any) -> None:
    """Raises what the client is told."""
    seen = head(PATHS[client])
    attempt(provider, "some-model", seen, dialect=client).outgoing(seen, encoded({**HI[client], **body}))


@cases("client", HI)
@cases("provider", ["openai", "anthropic", "responses", "gemini", "ollama", "bedrock"])
def test_a_tool_that_is_to_be_called_must_be_there(client: str, provider: str) -> None:
    ask(client, provider, **TOOL[client], **choice(client, "time"))
    if client == provider:
        ask(client, provider, **TOOL[client], **choice(client, "weather"))
        return
    for tools in (TOOL[client], {}):
        with pytest.raises(Reject, match="no tool of the request is called 'weather'") as caught:
            ask(client, provider, **tools, **choice(client, "weather"))
        where = "toolConfig.functionCallingConfig" if client == "gemini" else "tool_choice"
        assert (caught.value.fault.status, caught.value.fault.param) == (400, where)


def test_a_tool_of_the_providers_own_may_bear_any_name() -> None:
    ask("anthropic", "openai", tools=[{"type": "web_search_20250305", "name": "web_search"}], **choice("anthropic", "web_search"))


@pytest.mark.parametrize(
    ("client", "body", "told"),
    [
        ("openai", {"messages": []}, "messages: there is nothing in it"),
        ("anthropic", {"messages": []}, "messages: there is nothing in it"),
        ("responses", {"input": []}, "input: there is nothing in it"),
        ("gemini", {"contents": []}, "contents: there is nothing in it"),
        ("openai", {"messages": None}, "messages: expected a list, got null"),
        ("openai", {"stop": 7}, "stop: expected a list, got an integer"),
        ("openai", {"stop": ["a", 7]}, "stop[1]: expected a string, got an integer"),
        ("anthropic", {"stop_sequences": "a"}, "stop_sequences: expected a list, got a string"),
        ("gemini", {"generationConfig": {"stopSequences": {}}}, "generationConfig.stopSequences: expected a list, got an object"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(client: str, body: dict[str, Any], told: str) -> None:
    with pytest.raises(Reject) as caught:
        ask(client, "bedrock", **body)
    fault = caught.value.fault
    assert fault.status == 400
    assert fault.message.startswith(told)
    assert fault.param == told.partition(":")[0]
