"""A conversation as a request to Ollama's /api/chat.

Its rules: `content` is a string, pictures stand beside it in base64, a tool's result names its tool, arguments are objects, sampling
is in `options`, and an answer is streamed unless `stream` is false. There is no tool choice. Requests that came in this dialect are
written as they were.
"""

from extproc.dialects import documents, plain
from extproc.dialects.fields import tool_id
from extproc.dialects.hub import (
    Audio,
    Block,
    Conversation,
    Document,
    Extra,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    kind_of,
)
from extproc.dialects.ollama.parts import MAKER, NAME, write_call
from extproc.dialects.ollama.request_read import DEFAULT_EFFORT
from extproc.dialects.ollama.request_restore import restore, restore_generate, write_options
from extproc.dialects.ollama.words import NAMES
from extproc.dialects.quirks import NONE, Quirks, finished

_EFFORTS = {"minimal": "low", "xhigh": "max"}
"""As openai/openai.go, thinkFromReasoningEffort, has it; the rest are Ollama's words as well."""

_BETWEEN = "\n\n"
"""Between two texts of a user's message: a string is all that Ollama has for them."""

_ID = 64


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    if conversation.dialect == NAME:
        return finished(restore(conversation, model), quirks, conversation.drop_path)
    body: Extra = {"model": model, "messages": _Foreign(conversation).messages(), "stream": bool(conversation.stream)}
    _tools(conversation, body)
    if options := write_options(conversation):
        body["options"] = options
    _output(conversation, body)
    conversation.drop_account()
    conversation.drop_extra({key: value for key, value in conversation.extra.items() if key != "stream_options"})
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


def write_generate(conversation: Conversation, model: str, quirks: Quirks) -> Extra:
    """The request for /api/generate, which only Ollama's own clients ask for."""
    return restore_generate(conversation, model) if conversation.dialect == NAME else write_request(conversation, model, quirks)


_ROLES = {"developer": "system", "tool": "user"}


class _Foreign:
    """Writes messages of another dialect's conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._drop = conversation.drop
        self._names: dict[str, str] = {}
        """Tools by the ids of their calls."""

    def messages(self) -> list[Extra]:
        written: list[Extra] = []
        if system := self._conversation.system:
            self._conversation.place = "system[]"
            written += self._message(Message(role="system", blocks=system.blocks))
            self._conversation.place = "blocks[]"
        for message in self._conversation.messages:
            if not message.extra and (text := plain.words(message.blocks)) is not None:
                written.append({"role": _ROLES.get(message.role, message.role), "content": text})
                continue
            if message.extra:
                self._conversation.drop_extra(message.extra, "messages[].")
            written += self._message(message)
        if all(message["role"] == "system" for message in written):
            self._conversation.refuse_nothing()
        return written

    def _message(self, message: Message) -> list[Extra]:
        written: list[Extra] = []
        rest: list[Block] = []
        for block in message.blocks:
            if type(block) is ToolResult:
                written.append(self._result(block))
            else:
                rest.append(block)
        role = _ROLES.get(message.role, message.role)
        body = self._content(rest, "" if role == "assistant" else _BETWEEN)
        if rest and (body["content"] or len(body) > 1):
            written.append({"role": role, **body})
        return written

    def _content(self, blocks: list[Block], between: str) -> Extra:
        texts: list[str] = []
        body: Extra = {"content": ""}
        for block in blocks:
            self._leftover(block)
            if type(block) is ToolCall:
                identifier = tool_id(block.id, _ID)
                self._names[identifier] = block.name
                calls = body.setdefault("tool_calls", [])
                calls.append(write_call(block.name, block.arguments, identifier, len(calls)))
                continue
            match block:
                case Text() | Refusal():
                    texts.append(block.text)
                    if type(block) is Text and block.citations:
                        self._drop("blocks[].citations")
                case Reasoning():
                    if block.origin == MAKER:
                        body["thinking"] = body.get("thinking", "") + block.text
                    else:  # nobody takes another's
                        self._drop("blocks[].reasoning")
                case Image() | Audio() if block.data:
                    if type(block) is Image and block.detail not in ("", "auto"):
                        self._drop("blocks[].detail")
                    body.setdefault("images", []).append(block.data)
                case Document() if (text := documents.words(block)) is not None:
                    texts.append(documents.tagged(block, text))
                case _:
                    self._drop(f"blocks[].{kind_of(block)}")
        body["content"] = between.join(text for text in texts if text)
        return body

    def _result(self, result: ToolResult) -> Extra:
        self._leftover(result)
        if result.error:
            self._drop("blocks[].error")
        identifier = tool_id(result.id, _ID)
        name = self._names.get(identifier) or result.name
        words = plain.words(result.blocks)
        content = self._content(result.blocks, _BETWEEN) if words is None else {"content": words}
        body: Extra = {"role": "tool", "tool_call_id": identifier, **content}
        return {**body, "tool_name": name} if name else body

    def _leftover(self, block: Block) -> None:
        if block.cache:
            self._drop("blocks[].cache")
        if block.seal:
            self._drop("blocks[].seal")
        if block.extra and type(block) is not Reasoning:
            self._conversation.drop_extra(block.extra, "blocks[].")


def _tools(conversation: Conversation, body: Extra) -> None:
    """What cannot be forced can at least be all that is offered."""
    choice = conversation.tool_choice
    if choice and choice.mode == "none":
        return
    tools = conversation.tools or []
    if choice and (choice.mode in ("required", "tool", "opaque")):
        conversation.drop("tool_choice")
    allowed = None if choice is None else [choice.name] if choice.mode == "tool" else choice.allowed
    written = [one for tool in tools if allowed is None or tool.name in allowed for one in _tool(tool, conversation)]
    if written:
        body["tools"] = written
        if conversation.parallel_tool_calls is False:
            conversation.drop("parallel_tool_calls")


def _tool(tool: Tool, conversation: Conversation) -> list[Extra]:
    if tool.opaque is not None:
        conversation.drop_tool(tool)
        return []
    if tool.extra:
        conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache")
    if tool.strict:
        conversation.drop("tools[].strict")
    schema = {"type": "object", **(tool.schema or {"properties": {}})}
    return [{"type": "function", "function": {"name": tool.name, "description": tool.description or "", "parameters": schema}}]


def _output(conversation: Conversation, body: Extra) -> None:
    wanted = conversation.format
    if wanted and wanted.kind == "opaque":
        conversation.drop("format")
    elif wanted and wanted.kind != "text":
        body["format"] = "json" if wanted.schema is None else wanted.schema
    if conversation.thinking:
        think = _think(conversation.thinking)
        if think is not None:
            body["think"] = think
        conversation.drop_extra(conversation.thinking.extra, "thinking.")
    if conversation.logprobs:
        body["logprobs"] = True
        if conversation.top_logprobs:
            body["top_logprobs"] = conversation.top_logprobs
    elif conversation.top_logprobs:
        conversation.drop("top_logprobs")


def _think(wanted: Thinking) -> bool | str | None:
    if wanted.mode == "disabled" or wanted.effort == "none" or wanted.budget == 0:
        return False
    if wanted.effort:
        return _EFFORTS.get(wanted.effort, wanted.effort)
    if wanted.budget is not None and wanted.budget > 0:
        return "low" if wanted.budget < 4096 else DEFAULT_EFFORT if wanted.budget < 12288 else "high"
    return True if wanted.mode else None
