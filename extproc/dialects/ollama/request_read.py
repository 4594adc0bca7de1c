"""A client's request to /api/chat or /api/generate, read into the hub.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.fields import (
    FieldError,
    items,
    need_str,
    obj,
    refusing,
    take_bool,
    take_int,
    take_list,
    take_number,
    take_obj,
    take_str,
    take_strings,
)
from extproc.dialects.hub import Conversation, Extra, Format, Message, Text, Thinking, Tool, ToolCall, ToolResult
from extproc.dialects.ollama.parts import ASKED, MADE, NAME, read_assistant, read_content
from extproc.dialects.ollama.words import PROMPT_WORDS, WORDS

OPTION = "options."
"""Begins the names of options in a conversation's `extra`, each by itself, so that each is named if it is lost."""

DEFAULT_EFFORT = "medium"
"""What `think: true` means to models that know levels (api/types.go, ThinkValue.String)."""


_SETTINGS: plain.Settings = {
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "presence_penalty": ("presence_penalty", take_number),
    "frequency_penalty": ("frequency_penalty", take_number),
    "top_k": ("top_k", take_int),
    "seed": ("seed", take_int),
    "stop": ("stop", take_strings),
}
"""Of `options`."""


def read_request(body: Extra) -> Conversation:
    """A chat as a conversation. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        model = need_str(rest, "model")
        messages = items(rest.pop("messages", None), "messages")
        conversation = Conversation(dialect=NAME, words=WORDS, model=model, messages=_messages(messages), extra=rest)
        tools = take_list(rest, "tools")
        if tools is not None:
            conversation.tools = [plain.function(value) or _tool(value, f"tools[{i}]") for i, value in enumerate(tools)]
        _rest(conversation, rest)
        return conversation


def read_generate(body: Extra) -> Conversation:
    """A prompt as a conversation of one message. Raises as `read_request` does."""
    with refusing():
        rest = obj(body, "$")
        model = need_str(rest, "model")
        message = Message(role="user", blocks=read_content(rest, "", "prompt"), plain=True)
        conversation = Conversation(dialect=NAME, words=PROMPT_WORDS, model=model, messages=[message], extra=rest, asked=ASKED)
        if rest.get("system"):
            conversation.system = Message(role="system", blocks=[Text(take_str(rest, "system") or "")], plain=True)
        _rest(conversation, rest)
        return conversation


class _Calls:
    """Finds out which call a result answers: other dialects go by ids, which older clients of Ollama do not keep."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[ToolCall] = []

    def called(self, call: ToolCall) -> None:
        if not call.id:
            call.id = self._new()
            call.extra[MADE] = None
        self._open.append(call)

    def answered(self, result: ToolResult) -> None:
        """Gives `result` the id of the first call that waits for it: of the tool that it names, or else of any."""
        if result.id:
            self._open = [call for call in self._open if call.id != result.id]
            return
        found = next((call for call in self._open if call.name == result.name), None)
        if found is None and not result.name and self._open:
            found = self._open[0]
        if found is not None:
            self._open.remove(found)
        result.id = self._new() if found is None else found.id
        result.extra[MADE] = None

    def _new(self) -> str:
        self._made += 1
        return f"ollama_call_{self._made}"


def _messages(values: list[Any]) -> list[Message]:
    calls = _Calls()
    messages: list[Message] = []
    for i, value in enumerate(values):
        if (words := plain.message(value)) is not None:
            messages.append(words)
            continue
        message = _message(value, f"messages[{i}]")
        for block in message.blocks:
            if type(block) is ToolCall:
                calls.called(block)
            elif type(block) is ToolResult:
                calls.answered(block)
        messages.append(message)
    return messages


def _message(value: Any, path: str) -> Message:
    rest = obj(value, path)
    path += "."
    role = need_str(rest, "role", path)
    match role:
        case "assistant":
            return Message(role=role, blocks=read_assistant(rest, path), plain=True, extra=rest)
        case "tool":
            identifier, name = take_str(rest, "tool_call_id", path) or "", take_str(rest, "tool_name", path) or ""
            result = ToolResult(identifier, read_content(rest, path), plain=True, name=name, extra={})
            return Message(role=role, blocks=[result], extra=rest)
    return Message(role=role, blocks=read_content(rest, path), plain=True, extra=rest)


def _tool(value: Any, path: str) -> Tool:
    rest = obj(value, path)
    if rest.get("type", "function") != "function":
        return Tool(opaque=value)
    function = obj(rest.pop("function", None), path + ".function")
    path += ".function."
    tool = Tool(
        name=need_str(function, "name", path),
        description=take_str(function, "description", path),
        schema=take_obj(function, "parameters", path),
        extra={key: rest[key] for key in rest if key != "type"},
    )
    if function:
        tool.extra["function"] = function
    return tool


def _rest(conversation: Conversation, rest: Extra) -> None:
    conversation.stream = take_bool(rest, "stream")
    conversation.logprobs = take_bool(rest, "logprobs")
    conversation.top_logprobs = take_int(rest, "top_logprobs")
    if rest.get("think") is not None:
        conversation.thinking = _thinking(rest.pop("think"))
    if rest.get("format"):
        conversation.format = _format(rest.pop("format"))
    if rest.get("options"):
        _options(conversation, obj(rest.pop("options"), "options"), rest)


def _thinking(value: Any) -> Thinking:
    if type(value) is bool:
        return Thinking(mode="enabled", effort=DEFAULT_EFFORT) if value else Thinking(mode="disabled", effort="none")
    if type(value) is str:
        return Thinking(effort=value)
    raise FieldError("think", "a boolean or a string", value)


def _format(value: Any) -> Format:
    if type(value) is str:
        return Format(kind="json_object") if value == "json" else Format(kind="opaque", extra={"format": value})
    return Format(kind="json_schema", schema=obj(value, "format"))


def _options(conversation: Conversation, options: Extra, rest: Extra) -> None:
    """Where Ollama keeps sampling: docs/modelfile.mdx#valid-parameters-and-values."""
    plain.take_settings(options, conversation, _SETTINGS, OPTION)
    limit = take_int(options, "num_predict", OPTION)
    if limit is not None and limit > 0:
        conversation.max_tokens = limit
    elif limit is not None:
        options["num_predict"] = limit  # -1: no limit; -2: whatever the context holds
    rest.update({OPTION + key: value for key, value in options.items()})
