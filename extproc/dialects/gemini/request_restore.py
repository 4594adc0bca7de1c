"""A Gemini conversation written back in its own words: nothing is lost and nothing added. What the path says is left to it."""

from typing import Any

from extproc.dialects.gemini.names import Fields, own, spelled
from extproc.dialects.gemini.parts import is_ours, own_part
from extproc.dialects.gemini.signatures import SIGNER
from extproc.dialects.hub import Conversation, Extra, Format, Message, Seal, Thinking, Tool, ToolCall, ToolChoice

TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
"""`serviceTier` in Google's words."""

FIELDS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Of the hub's, the fields of `generationConfig`."""

_ROLES = {"user": "user", "assistant": "model", "tool": "function", "system": None}
_MODES = {"auto": "AUTO", "required": "ANY", "tool": "ANY", "none": "NONE"}


def restore(conversation: Conversation, unsigned: str = "") -> Extra:
    """The request as it was read, without the model's name and whether it is streamed, and without what another maker signed. `unsigned`:
    what stands in place of such a signature, if one is wanted.
    """
    _disown(conversation, unsigned)
    extra = conversation.extra
    names = extra.names if type(extra) is Fields else {}
    body: Extra = {}
    apart: dict[str, Extra] = {"generationConfig": {}, "toolConfig": {}, "toolConfig.functionCallingConfig": {}}
    for key, value in extra.items():
        parent, _, member = key.rpartition(".")
        apart.get(parent, body)[member if parent in apart else key] = value
    contents = [_own_content(message) for message in conversation.messages]
    body["contents"] = contents[0] if own(extra, "contents") and contents else contents
    if conversation.system is not None:
        body["systemInstruction"] = _own_content(conversation.system)
    if conversation.tools is not None:
        tools = _own_tools(conversation.tools)
        body["tools"] = tools[0] if own(extra, "tools") and tools else tools
    config = apart["generationConfig"] | _own_config(conversation, names)
    if config or own(extra, "config"):
        body["generationConfig"] = spelled(config, names)
    if (tool_config := _own_choice(conversation, apart, names)) is not None:
        body["toolConfig"] = tool_config
    if conversation.service_tier is not None:
        body["serviceTier"] = TIERS.get(conversation.service_tier, conversation.service_tier)
    return spelled(body, names)


def _disown(conversation: Conversation, unsigned: str) -> None:
    emptied: list[Message] = []
    for message in conversation.messages:
        ours = [block for block in message.blocks if is_ours(block)]
        if len(ours) < len(message.blocks):
            conversation.drop("contents[].parts[].thought")
            message.blocks = ours
            emptied += [message] if not ours else []
        for block in ours:
            if block.seal and block.seal.origin != SIGNER:
                block.seal = Seal(unsigned, SIGNER) if unsigned and type(block) is ToolCall else None
    if emptied:
        conversation.messages = [message for message in conversation.messages if not any(message is one for one in emptied)]


def _own_content(message: Message) -> Extra:
    extra = message.extra
    written: Extra = {**extra}
    role = own(extra, "role", _ROLES.get(message.role, message.role))
    if role is not None:
        written["role"] = role
    if message.blocks or own(extra, "parts") is not False:
        parts = [own_part(block) for block in message.blocks]
        written["parts"] = parts[0] if message.plain and len(parts) == 1 else parts
    return spelled(written, extra.names if type(extra) is Fields else {})


def _own_tools(tools: list[Tool]) -> list[Extra]:
    entries: dict[int, Extra] = {}
    spellings: dict[int, dict[str, str]] = {}
    for tool in tools:
        number = own(tool.extra, "entry", 0)
        entry = entries.setdefault(number, {})
        spellings.setdefault(number, own(tool.extra, "entry_names", {}))
        if tool.opaque is not None:
            entry |= tool.opaque
        elif own(tool.extra, "single"):
            entry["functionDeclarations"] = _own_function(tool)
        else:
            entry.setdefault("functionDeclarations", []).append(_own_function(tool))
    return [spelled(entry, spellings[number]) for number, entry in entries.items()]


def _own_function(tool: Tool) -> Extra:
    extra = tool.extra
    written: Extra = {**extra, "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema is not None:
        written[own(extra, "field", "parametersJsonSchema")] = own(extra, "schema", tool.schema)
    return spelled(written, extra.names if type(extra) is Fields else {})


def _own_config(conversation: Conversation, names: dict[str, str]) -> Extra:
    config: Extra = {}
    for field, name in FIELDS.items():
        value = getattr(conversation, field)
        if value is not None:
            config[name] = value
    if modalities := own(conversation.extra, "modalities"):
        config["responseModalities"] = modalities
    if conversation.format is not None:
        config |= _own_format(conversation.format)
    if conversation.thinking is not None:
        config["thinkingConfig"] = spelled(_own_thinking(conversation.thinking), names)
    return config


def _own_format(wanted: Format) -> Extra:
    if wanted.kind == "text":
        return {"responseMimeType": "text/plain"}
    schema: Extra = {} if wanted.schema is None else {wanted.field or "responseJsonSchema": own(wanted.extra, "schema", wanted.schema)}
    return {"responseMimeType": "application/json", **schema}


def _own_thinking(thinking: Thinking) -> Extra:
    written: Extra = {**thinking.extra}
    for field, note in (("thinkingLevel", "level"), ("thinkingBudget", "budget")):
        if (value := own(thinking.extra, note)) is not None:
            written[field] = value
    if thinking.summary:
        written["includeThoughts"] = thinking.summary != "none"
    return written


def _own_choice(conversation: Conversation, apart: dict[str, Extra], names: dict[str, str]) -> Extra | None:
    config: Extra = apart["toolConfig"]
    calling = write_choice(conversation.tool_choice) | apart["toolConfig.functionCallingConfig"]
    if calling or own(conversation.extra, "calling_config"):
        config = {**config, "functionCallingConfig": spelled(calling, names)}
    return spelled(config, names) if config or own(conversation.extra, "tool_config") else None


def write_choice(choice: ToolChoice | None) -> dict[str, Any]:
    """A `functionCallingConfig`; empty for no choice."""
    if choice is None:
        return {}
    allowed = [choice.name] if choice.mode == "tool" else choice.allowed
    mode: Extra = {"mode": _MODES.get(choice.mode, "AUTO")}
    return mode if allowed is None else {**mode, "allowedFunctionNames": allowed}
