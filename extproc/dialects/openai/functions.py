"""Functions as chat completions had them before there were tools: `functions`, `function_call`, and messages of the role `function`.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-functions

In the hub they are tools. A turn calls one of them at most, and neither the call nor its result has an id: it is made of where the call
stands, which is right before its result.
"""

from types import MappingProxyType
from typing import Any

from extproc.dialects.fields import FieldError, need_str, obj, take_list, take_obj, take_str
from extproc.dialects.hub import Conversation, Extra, Tool, ToolCall, ToolChoice

FUNCTION = "function_call"
"""A field of requests and messages; and in `local`, the call or the result as it was."""

ASKED = "functions"
"""The field of a request; stands in `Question.asked`, for answers in the same form, and in `Conversation.fields`."""

_WORDS = MappingProxyType(
    {
        "tools[]": "functions[]",
        "tool_choice": FUNCTION,
        "blocks[].tool_call": f"messages[].{FUNCTION}",
        "parallel_tool_calls": "",  # nobody asked for it: there can only be one call
    }
)


def read_functions(conversation: Conversation, rest: Extra) -> None:
    """Takes functions, and the choice among them, out of `rest`, unless there are tools, or a choice of those."""
    if conversation.tools is None and (given := take_list(rest, ASKED)) is not None:
        conversation.tools = [_read(value, f"{ASKED}[{i}]") for i, value in enumerate(given)]
        conversation.fields["tools"] = ASKED
        conversation.asked = {**conversation.asked, ASKED: True}
        conversation.words = MappingProxyType({**conversation.words, **_WORDS})
        if conversation.parallel_tool_calls is None:
            conversation.parallel_tool_calls = False
    if rest.get(FUNCTION) is not None and rest.get("tool_choice") is None:
        conversation.tool_choice = _choice(rest.pop(FUNCTION))
        conversation.fields["tool_choice"] = FUNCTION


def _read(value: Any, path: str) -> Tool:
    function = obj(value, path)
    path += "."
    name, description = need_str(function, "name", path), take_str(function, "description", path)
    schema = take_obj(function, "parameters", path)
    return Tool(name=name, description=description, schema=schema, extra=function)


def _choice(value: Any) -> ToolChoice:
    if value in ("auto", "none"):
        return ToolChoice(mode=value)
    if type(value) is not dict:
        raise FieldError(FUNCTION, "`auto`, `none` or an object", value)
    return ToolChoice(mode="tool", name=need_str(value.copy(), "name", f"{FUNCTION}."), raw=value)


def call_id(number: int) -> str:
    """That of the call in message `number`, and of its result in the next one."""
    return f"call_{number}"


def read_call(value: Any, path: str) -> ToolCall:
    """The call of a message."""
    rest = obj(value, path)
    name, arguments = need_str(rest, "name", path + "."), take_str(rest, "arguments", path + ".")
    return ToolCall("", name, arguments or "", local={FUNCTION: value})


def restore(conversation: Conversation, body: Extra) -> None:
    """Functions that were written as tools of this dialect, and the choice of one, as their client wrote them."""
    if conversation.fields.get("tools") == ASKED and "tools" in body:
        body[ASKED] = [_unwrapped(tool) for tool in body.pop("tools")]
        body.pop("parallel_tool_calls", None)
    if FUNCTION in conversation.fields.values():
        body[FUNCTION] = body.pop("tool_choice")


def _unwrapped(tool: Extra) -> Extra:
    return {**{key: tool[key] for key in tool if key not in ("type", "function")}, **tool["function"]}
