"""A request of which nothing can be said to the model's provider is refused: nobody pays for an answer to something else."""

from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.errors import Reject
from tests.cases import cases

OTHERS = [name for name in DIALECTS if name != "openai"]
UPLOADED = {"type": "file", "file": {"file_id": "file-1"}}


def _asked(source: str, target: str, body: dict[str, Any]) -> Any:
    return DIALECTS[target].write_request(DIALECTS[source].read_request({"model": "m", **body}), "some-model")


@cases("target", OTHERS)
@cases(
    ("messages", "named"),
    [
        ([], ""),
        ([{"role": "user", "content": [UPLOADED]}], "messages[].content[].file"),
        ([{"role": "user", "content": [{"type": "riddle", "riddle": "x"}]}], "messages[].content[].riddle"),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [UPLOADED]}], "messages[].content[].file"),
    ],
)
def test_nothing_left_is_refused(messages: list[Any], named: str, target: str) -> None:
    with pytest.raises(Reject) as refused:
        _asked("openai", target, {"messages": messages})
    fault = refused.value.fault
    assert (fault.status, fault.code, fault.param) == (400, "unsupported_input", "messages")
    assert named in fault.message


def test_to_openai_s_providers_as_well() -> None:
    uploaded = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    with pytest.raises(Reject, match=r"messages\[\]\.content\[\]\.document"):
        _asked("anthropic", "openai", {"max_tokens": 9, "messages": [{"role": "user", "content": [uploaded]}]})


@pytest.mark.parametrize("target", DIALECTS)
def test_instructions_alone_are_something_to_ask(target: str) -> None:
    assert _asked("openai", target, {"messages": [{"role": "system", "content": "Say hello."}]})


@pytest.mark.parametrize("target", OTHERS)
def test_what_else_there_is_goes_on(target: str) -> None:
    assert _asked("openai", target, {"messages": [{"role": "user", "content": [UPLOADED, {"type": "text", "text": "Hello."}]}]})


def test_a_turn_that_cannot_be_said_leaves_no_empty_message() -> None:
    asked = {"role": "user", "content": "Hello."}
    silent = {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]}
    body = _asked("anthropic", "openai", {"max_tokens": 9, "messages": [asked, silent, asked]})
    assert body["messages"] == [asked, asked]
