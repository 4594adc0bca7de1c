"""A client's Converse or ConverseStream request, read into the hub.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from typing import Any

import msgspec

from extproc.dialects import plain
from extproc.dialects.bedrock import glance
from extproc.dialects.bedrock.blocks import NAME, read_cache, read_content
from extproc.dialects.bedrock.words import WORDS
from extproc.dialects.fields import (
    FieldError,
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
from extproc.dialects.hub import Conversation, Extra, Format, Message, Thinking, Tool, ToolChoice

MODEL = "additionalModelRequestFields"
"""Where fields stand that only some models have."""

_INFERENCE: plain.Settings = {
    "maxTokens": ("max_tokens", take_int),
    "temperature": ("temperature", take_number),
    "topP": ("top_p", take_number),
    "stopSequences": ("stop", take_strings),
}

_USUAL = frozenset(("inferenceConfig", "toolConfig"))
"""What is left of most requests, once messages and instructions are read."""

SERVERS = {"nova_code_interpreter": "code_execution", "nova_grounding": "web_search"}
"""Tools that Amazon runs, in the hub's words."""


def read_request(body: Extra) -> Conversation:
    """The request as a conversation. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        conversation = Conversation(dialect=NAME, words=WORDS, model=need_str(rest, "model"), messages=[], extra=rest)
        conversation.stream = take_bool(rest, "stream")
        if messages := take_list(rest, "messages") if rest.get("messages") else None:
            conversation.messages = [glance.message(value) or _message(value, f"messages[{i}]") for i, value in enumerate(messages)]
        if (system := take_list(rest, "system")) is not None:
            conversation.system = Message(role="system", blocks=read_content(system, "system"))
        _inference(conversation, rest)
        _tools(conversation, rest)
        if not rest.keys() <= _USUAL:
            _output(conversation, rest)
            _model_fields(conversation, rest)
            _account(conversation, rest)
        return conversation


def _message(value: Any, path: str) -> Message:
    rest = obj(value, path)
    role = need_str(rest, "role", path + ".")
    return Message(role=role, blocks=read_content(rest.pop("content", None), path + ".content"), extra=rest)


def _inference(conversation: Conversation, rest: Extra) -> None:
    if (given := take_obj(rest, "inferenceConfig")) is None:
        return
    rest["inferenceConfig"] = given = given.copy()
    plain.take_settings(given, conversation, _INFERENCE, "inferenceConfig.")


def _tools(conversation: Conversation, rest: Extra) -> None:
    if (given := take_obj(rest, "toolConfig")) is None:
        return
    rest["toolConfig"] = given = given.copy()
    if (tools := take_list(given, "tools", "toolConfig.")) is not None:
        conversation.tools = []
        for i, value in enumerate(tools):
            if (tool := glance.tool(value)) is not None:
                conversation.tools.append(tool)
            else:
                _tool(value, f"toolConfig.tools[{i}]", conversation.tools)
    if (choice := take_obj(given, "toolChoice", "toolConfig.")) is not None:
        conversation.tool_choice = _tool_choice(choice)


def _tool(value: Any, path: str, tools: list[Tool]) -> None:
    rest = obj(value, path)
    if "cachePoint" in rest and tools and tools[-1].cache is None:
        tools[-1].cache = read_cache(rest)
        return
    if "toolSpec" not in rest:
        system = rest.get("systemTool")
        name = system.get("name") if type(system) is dict else None
        known = name if type(name) is str else ""
        tools.append(Tool(name=known, server=SERVERS.get(known, ""), opaque=rest))
        return
    path += ".toolSpec"
    spec = obj(rest.pop("toolSpec"), path)
    schema = take_obj(spec, "inputSchema", path + ".")
    tool = Tool(name=need_str(spec, "name", path + "."), description=take_str(spec, "description", path + "."), extra=rest)
    tool.strict = take_bool(spec, "strict", path + ".")
    if schema is not None:
        schema = schema.copy()
        tool.schema = take_obj(schema, "json", path + ".inputSchema.")
        if schema or tool.schema is None:
            spec["inputSchema"] = schema
    if spec:
        rest["toolSpec"] = spec
    tools.append(tool)


def _tool_choice(choice: Extra) -> ToolChoice:
    match choice:
        case {"auto": {}} if choice == {"auto": {}}:
            return ToolChoice(mode="auto")
        case {"any": {}} if choice == {"any": {}}:
            return ToolChoice(mode="required")
        case {"tool": {"name": str(name)}} if choice == {"tool": {"name": name}}:
            return ToolChoice(mode="tool", name=name)
    return ToolChoice(mode="opaque", raw=choice)


def _output(conversation: Conversation, rest: Extra) -> None:
    if (given := take_obj(rest, "outputConfig")) is None:
        return
    rest["outputConfig"] = given = given.copy()
    if (effort := take_str(given, "effort", "outputConfig.")) is not None:
        _effort(conversation, effort, "outputConfig.effort")
    if (wanted := take_obj(given, "textFormat", "outputConfig.")) is not None:
        conversation.format = _format(wanted)


def _format(wanted: Extra) -> Format:
    structure = wanted.get("structure")
    inner = structure.get("jsonSchema") if type(structure) is dict else None
    if wanted.get("type") != "json_schema" or type(inner) is not dict:
        return Format(kind="opaque", extra=wanted)
    try:
        schema = msgspec.json.decode(need_str(inner.copy(), "schema", "outputConfig.textFormat.structure.jsonSchema."))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        schema = None
    if type(schema) is not dict:
        raise FieldError("outputConfig.textFormat.structure.jsonSchema.schema", "a JSON schema as text", inner.get("schema"))
    name = inner.get("name")
    return Format(kind="json_schema", schema=schema, name=name if type(name) is str else "", strict=True, extra=wanted)


def _effort(conversation: Conversation, effort: str, path: str) -> None:
    if conversation.thinking is None:
        conversation.thinking = Thinking()
    conversation.thinking.effort = effort
    conversation.fields = {**conversation.fields, "effort": path}


def _model_fields(conversation: Conversation, rest: Extra) -> None:
    """What only some models have, where the hub has a word for it."""
    given = rest.get(MODEL)
    if type(given) is not dict or not given:
        return
    given = given.copy()
    _thinking(conversation, given)
    for path in (("reasoning_effort",), ("reasoning_config",), ("output_config", "effort"), ("reasoningConfig", "maxReasoningEffort")):
        effort = _take(given, path)
        if type(effort) is str and not (conversation.thinking and conversation.thinking.effort):
            _drop(given, path)
            _effort(conversation, effort, ".".join((MODEL, *path)))
    for path in (("top_k",), ("inferenceConfig", "topK")):
        number = _take(given, path)
        if type(number) is int and conversation.top_k is None:
            _drop(given, path)
            conversation.top_k = number
            conversation.fields = {**conversation.fields, "top_k": ".".join((MODEL, *path))}
    rest[MODEL] = given


def _thinking(conversation: Conversation, given: Extra) -> None:
    """Claude's own words for it, which stand for Nova's as well."""
    for field in ("thinking", "reasoningConfig"):
        inner = given.get(field)
        if type(inner) is not dict or type(inner.get("type")) is not str or (conversation.thinking and conversation.thinking.mode):
            continue
        inner = inner.copy()
        thinking = conversation.thinking = conversation.thinking or Thinking()
        thinking.mode = inner.pop("type")
        budget = inner.get("budget_tokens")
        if type(budget) is int:
            thinking.budget = inner.pop("budget_tokens")
        conversation.fields = {**conversation.fields, "thinking": f"{MODEL}.{field}"}
        if inner:
            given[field] = inner
        else:
            del given[field]


def _take(given: Extra, path: tuple[str, ...]) -> Any:
    value: Any = given
    for key in path:
        value = value.get(key) if type(value) is dict else None
    return value


def _drop(given: Extra, path: tuple[str, ...]) -> None:
    """Takes a value away, and the object that held nothing else."""
    first, *more = path
    if not more:
        del given[first]
        return
    given[first] = {key: value for key, value in given[first].items() if key != more[0]}
    if not given[first]:
        del given[first]


def _account(conversation: Conversation, rest: Extra) -> None:
    conversation.metadata = take_obj(rest, "requestMetadata")
    if (tier := take_obj(rest, "serviceTier")) is not None:
        if tier.keys() == {"type"} and type(tier["type"]) is str:
            conversation.service_tier = tier["type"]
        else:
            rest["serviceTier"] = tier
