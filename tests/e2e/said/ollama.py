"""Ollama's answers, to a chat or to a prompt; a stream is made of the same, line by line."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Said


def whole(answer: Any) -> Said:
    """An answer."""
    return streamed([answer])


def streamed(lines: list[Any]) -> Said:
    """A stream's lines; counts are in the last one."""
    said, last = Said(), lines[-1]
    for line in lines:
        message = line.get("message") or {"content": line.get("response"), "thinking": line.get("thinking")}
        said.text += message.get("content") or ""
        said.reasoning += message.get("thinking") or ""
        said.calls += [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
    said.usage = Usage(input=last.get("prompt_eval_count") or 0, output=last.get("eval_count") or 0)
    return said.meant("length" if last.get("done_reason") == "length" else "end" if last["done"] else "")
