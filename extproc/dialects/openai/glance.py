"""What most turns with calls, and most chunks of a stream, are made of, known at a glance: see `plain`."""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.hub import Block, Extra, Message, Text


def calling(value: Any) -> Message | None:
    """A message of the model's that calls functions, and perhaps says something before."""
    if type(value) is not dict or len(value) != 3 or value.get("role") != "assistant" or "content" not in value:
        return None
    content, given = value["content"], value.get("tool_calls")
    if type(given) is not list or not given or (content is not None and type(content) is not str):
        return None
    blocks: list[Block] = [] if content is None else [Text(content)]
    for one in given:
        if (call := plain.call(one)) is None:
            return None
        blocks.append(call)
    return Message(role="assistant", blocks=blocks, plain=True, extra={"content": None} if content is None else {})


def words(chunk: Extra) -> tuple[int, str] | None:
    """The choice, and more of its text, of a chunk that says nothing beside."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or chunk.get("usage") is not None or "x_groq" in chunk:
        return None
    choice = choices[0]
    if type(choice) is not dict or choice.get("finish_reason") is not None or choice.get("logprobs"):
        return None
    index, delta = choice.get("index", 0), choice.get("delta")
    if type(index) is not int or type(delta) is not dict or len(delta) != (2 if "role" in delta else 1):
        return None
    text = delta.get("content")
    return (index, text) if type(text) is str and text else None
