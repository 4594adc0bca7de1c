"""A conversation as an OpenAI chat completion request.

OpenAI's own models and those that merely speak its dialect differ in what they refuse: models by their names (`models.toml`), providers
by their `Quirks`. Requests that came in this dialect are written as they were, but for what the provider refuses: what they ask is between
the client and the provider.
"""

import hashlib
import re
from typing import NamedTuple

from extproc.dialects import plain
from extproc.dialects.fields import tool_id
from extproc.dialects.hub import (
    INSTRUCTING,
    Audio,
    Block,
    Conversation,
    Document,
    Extra,
    Format,
    Image,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Seal,
    Text,
    ToolCall,
    ToolResult,
    Video,
    kind_of,
)
from extproc.dialects.models import Abilities, abilities
from extproc.dialects.openai.apart import as_parts
from extproc.dialects.openai.effort import write_thinking
from extproc.dialects.openai.functions import FUNCTION
from extproc.dialects.openai.parts import NAME, own_fields, write_custom_call, write_document_url, write_part, write_tool_call, write_upload
from extproc.dialects.openai.reasoning import MISTRAL, write_details, write_reasoning, write_thinking_part
from extproc.dialects.openai.signatures import GOOGLE, is_own, own_message_seal, write_seal
from extproc.dialects.openai.sound import write_sound
from extproc.dialects.openai.tools import write_tools
from extproc.dialects.openai.words import NAMES
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.dialects.schemas import closed, instruction

_STOPS = 4
"""`stop` takes up to 4 sequences."""

_USER = 64
"""`user` has at most 64 characters; Claude Code's are longer."""

_ID = 40
"""A tool call's id has at most 40 characters."""


_PLAIN_ID = re.compile(r"[A-Za-z0-9]+")

_SHARED = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")
"""Fields for which the hub has no word, and which OpenAI's other API calls the same."""


class _Taste(NamedTuple):
    """What decides how a request is written."""

    own: bool
    """It came in this dialect."""
    able: Abilities
    quirks: Quirks

    @property
    def developer(self) -> bool:
        return self.able.developer if self.quirks.developer is None else self.quirks.developer

    def call_id(self, given: str) -> str:
        """A tool call's id as the provider takes it."""
        if self.own:
            return given
        length = self.quirks.call_id_length
        if length is None:
            return tool_id(given, _ID)
        return given if len(given) == length and _PLAIN_ID.fullmatch(given) else _digest(given)[:length]


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    own = conversation.dialect == NAME
    able = abilities(model)
    taste = _Taste(own, able, quirks)
    body: Extra = {"model": model, "messages": _messages(conversation, taste)}
    _sampling(conversation, body, taste)
    _limits(conversation, body, taste)
    write_tools(conversation, body, able, quirks)
    _output(conversation, body, taste)
    if own:
        return finished(_restore(conversation, body), quirks, conversation.drop_path)
    if able.refuses:
        finished(body, Quirks(refuses=able.refuses), lambda field: conversation.drop(NAMES.get(field, field)))
    if extra := conversation.extra:
        shared = {field: extra[field] for field in _SHARED if able.developer and extra.get(field) is not None}
        body |= shared
        conversation.drop_extra({field: value for field, value in extra.items() if field not in shared})
    if conversation.cache:
        conversation.drop("cache")
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


def _restore(conversation: Conversation, body: Extra) -> Extra:
    """What a reader of this dialect left in `extra`."""
    options = conversation.extra.get("stream_options")
    if options and "stream_options" in body:
        body["stream_options"] = {**options, **body["stream_options"]}
    return {**conversation.extra, **conversation.local, **body}


def _messages(conversation: Conversation, taste: _Taste) -> list[Extra]:
    messages: list[Extra] = []
    if conversation.system and conversation.system.blocks:
        if not taste.own and (text := plain.words(conversation.system.blocks)) is not None:
            messages.append({"role": "system", "content": text})
        else:
            conversation.place = "system[]"
            messages += _plain_message(Message(role="system", blocks=conversation.system.blocks), conversation, taste)
            conversation.place = "blocks[]"
    for message in conversation.messages:
        if not taste.own and not message.extra and (text := plain.words(message.blocks)) is not None:
            messages.append({"role": _role(message, taste), "content": text})
            continue
        written = _assistant(message, conversation, taste) if message.role == "assistant" else _other(message, conversation, taste)
        if taste.own:
            written[0] = {**message.extra, **written[0]}
        elif message.extra:
            conversation.drop_extra(message.extra, "messages[].")
        messages += written
    if not taste.own and all(message["role"] in INSTRUCTING for message in messages):
        conversation.refuse_nothing()
    return messages


def _assistant(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    if taste.own:
        return [_own_assistant(message, conversation, taste)]
    written = _foreign_assistant(message, conversation, taste)
    # Of a turn that cannot be said nothing is left, and several providers refuse a message without anything in it.
    return [written] if written["content"] or len(written) > 2 else []


def _own_assistant(message: Message, conversation: Conversation, taste: _Taste) -> Extra:
    if taste.quirks.sdk == "mistral":
        message = _for_mistral(message, conversation)
    if not all(map(is_own, message.blocks)):
        conversation.drop("blocks[].seal")
    body: Extra = {"role": "assistant", **write_reasoning(message.blocks), **own_message_seal(message.blocks)}
    texts = [block for block in message.blocks if not own_fields(block, body)]
    return body | _own_content(texts, message.plain)


def _for_mistral(message: Message, conversation: Conversation) -> Message:
    blocks, lost = as_parts(message.blocks)
    if lost:
        conversation.drop("blocks[].reasoning")
    if blocks is message.blocks:
        return message
    said = [block for block in blocks if type(block) is not Text or block.text]
    return Message(role=message.role, blocks=said, plain=message.plain, extra=message.extra)


def _foreign_assistant(message: Message, conversation: Conversation, taste: _Taste) -> Extra:
    # Claude's text comes in pieces around citations and calls: together they are the text.
    text: list[str] = []
    back: list[str] = []
    details: list[Extra] = []
    calls: list[Extra] = []
    seals: Extra = {}
    parts: list[Extra] = []
    for block in message.blocks:
        if block.cache or block.extra:
            _leftover(block, conversation)
        if type(block) is ToolCall:
            call = _call(block, taste)
            calls.append(call | _seal(block.seal, conversation, taste) if block.seal else call)
            continue
        match block:
            case Text() | Refusal():
                text += [block.text] if block.text else []
                if type(block) is Text and block.citations:
                    conversation.drop("blocks[].citations")
                seals |= _seal(block.seal, conversation, taste) if block.seal else {}
            case Reasoning() if taste.quirks.sdk == "mistral" and block.origin == MISTRAL and block.signature:
                parts.append(write_thinking_part(block.text, block))
            case Reasoning():
                if not _thought(block, taste, back, details):
                    conversation.drop("blocks[].reasoning")
            case _:
                conversation.drop(f"blocks[].{kind_of(block)}")
    body: Extra = {"role": "assistant", "content": "".join(text) if text or not calls else None, **seals}
    if parts:
        body["content"] = [*parts, *([{"type": "text", "text": body["content"]}] if body["content"] else [])]
    if back and taste.quirks.reasoning_back:
        body[taste.quirks.reasoning_back] = "".join(back)
    if details:
        body["reasoning_details"] = details
    if calls:
        body["tool_calls"] = calls
    return body


def _call(block: ToolCall, taste: _Taste) -> Extra:
    identifier = taste.call_id(block.id)
    return write_custom_call(block, identifier) if block.custom and taste.able.customs else write_tool_call(block, identifier, False)


def _thought(block: Reasoning, taste: _Taste, back: list[str], details: list[Extra]) -> bool:
    """Whether it goes back. Few providers take their reasoning, OpenAI refuses the field, and nobody takes another's: an aggregator that
    knows `reasoning_details` hands on what the model's own maker signed.
    """
    if taste.quirks.reasoning == "reasoning" and block.origin == taste.able.signer and (block.signature or block.redacted):
        details += write_details(Reasoning(block.text, block.signature, block.redacted, block.origin), len(details)).values()
    elif not (taste.quirks.reasoning_back and block.text):
        return False
    back += [block.text] if block.text else []
    return True


def _seal(seal: Seal, conversation: Conversation, taste: _Taste) -> Extra:
    """A signature, for the models of its maker."""
    if seal.origin == taste.able.signer == GOOGLE:
        return write_seal(seal, maker=True)
    conversation.drop("blocks[].seal")
    return {}


def _own_content(texts: list[Block], plain: bool) -> Extra:
    if not texts:
        return {} if plain else {"content": []}
    if plain and len(texts) == 1 and type(texts[0]) is Text:
        text = texts[0]
        annotations = {"annotations": [citation.raw for citation in text.citations]} if text.citations else {}
        return {"content": text.text, **annotations}
    return {"content": [write_part(block, True) for block in texts]}


def _other(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    results = [block for block in message.blocks if type(block) is ToolResult]
    if not results:
        return _plain_message(message, conversation, taste) or []
    rest: list[Block] = []
    written = [_tool_result(result, rest, conversation, taste) for result in results]
    rest += [block for block in message.blocks if type(block) is not ToolResult]
    if rest:
        written += _plain_message(Message(role="user", blocks=rest), conversation, taste)
    return written


def _tool_result(result: ToolResult, rest: list[Block], conversation: Conversation, taste: _Taste) -> Extra:
    """A tool's message. It takes text only: pictures and files follow in the user's next message, which goes to `rest`."""
    own = taste.own
    if own and FUNCTION in result.local:
        returned: Extra = result.local[FUNCTION]
        return returned
    if not own:
        _leftover(result, conversation)
        if result.error:
            conversation.drop("blocks[].error")
        if (text := plain.words(result.blocks)) is not None:
            return {"role": "tool", "tool_call_id": taste.call_id(result.id), "content": text}
    seen = [block for block in result.blocks if own or _is_text(block) or (type(block) is Opaque and not _upload(block, taste))]
    for block in result.blocks:
        if not own and (_upload(block, taste) or (type(block) in (Image, Document, Audio) and not _is_text(block))):
            rest += (Text(f"From the result of tool call {taste.call_id(result.id)}:"), block)
    content = _content(Message(role="tool", blocks=seen, plain=result.plain), conversation, taste)
    if content is None:
        content = "The result follows in the next message." if len(seen) < len(result.blocks) else ""
    return {"role": "tool", "tool_call_id": taste.call_id(result.id), "content": content}


def _upload(block: Block, taste: _Taste) -> str:
    """The id of a file that was uploaded to where the request goes; else empty."""
    return block.upload if type(block) is Opaque and taste.able.uploads and not taste.own else ""


def _is_text(block: Block) -> bool:
    return type(block) is Text or (type(block) is Document and block.text is not None)


def _plain_message(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    content = _content(message, conversation, taste)
    if content is None:
        return [{"role": message.role}] if taste.own else []
    return [{"role": _role(message, taste), "content": content}]


def _role(message: Message, taste: _Taste) -> str:
    return "system" if message.role == "developer" and not (taste.own or taste.developer) else message.role


def _content(message: Message, conversation: Conversation, taste: _Taste) -> str | list[Extra] | None:
    """A message's content; None if nothing is left of it. A single text is written as a string, which everybody reads."""
    own = taste.own
    parts: list[Extra] = []
    for block in message.blocks:
        part = _part(block, taste)
        if part is None:
            conversation.drop(f"blocks[].{kind_of(block)}")
            continue
        parts.append(part)
        if not own:
            _leftover(block, conversation)
    if not parts:
        return [] if own and message.blocks else None
    if len(parts) == 1 and parts[0].get("type") == "text" and (message.plain or not own):
        text: str = parts[0]["text"]
        return text
    return parts


def _part(block: Block, taste: _Taste) -> Extra | None:
    if not taste.own:
        if type(block) is Video and not taste.able.watches:
            return None
        if type(block) is Document and block.text is None and taste.quirks.documents == "document_url":
            return write_document_url(block)
        if upload := _upload(block, taste):
            return write_upload(upload)
        if type(block) is Audio and taste.quirks.sdk == "mistral":
            return write_sound(block, alone=True)
    return write_part(block, taste.own)


def _leftover(block: Block, conversation: Conversation) -> None:
    if block.cache:
        conversation.drop("blocks[].cache")
    if block.extra and type(block) is not Reasoning:
        conversation.drop_extra(block.extra, "blocks[].")


def _sampling(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    for field in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "n", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None:
            body[field] = value
    if conversation.stop is not None:
        _stop(conversation, body, taste)
    if conversation.top_k is not None:
        if taste.own or taste.quirks.top_k:
            body["top_k"] = conversation.top_k
        else:
            conversation.drop("top_k")


def _stop(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    stop = conversation.stop or []
    if taste.own:
        body["stop"] = stop[0] if conversation.stop_plain else stop
        return
    most = _STOPS if taste.quirks.stop_limit is None else taste.quirks.stop_limit
    if len(stop) > most:
        conversation.drop("stop")
    if stop[:most]:
        body["stop"] = stop[:most]


def _limits(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    if conversation.max_tokens is not None:
        field = taste.quirks.max_tokens_field or taste.able.max_tokens_field
        body[conversation.max_tokens_field if taste.own else field] = conversation.max_tokens


def _output(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    own = taste.own
    if conversation.format:
        _format(conversation.format, conversation, body, taste)
    if conversation.thinking and own:
        body |= conversation.thinking.raw
    elif conversation.thinking:
        conversation.drop_extra(conversation.thinking.extra, "thinking.")
        write_thinking(conversation.thinking, conversation, body, taste.able, taste.quirks)
    if conversation.user is not None:
        most = _USER if taste.quirks.user_limit is None else taste.quirks.user_limit
        body["user"] = conversation.user if own or len(conversation.user) <= most else _digest(conversation.user)[:most]
    if conversation.service_tier is not None:
        body["service_tier"] = conversation.service_tier
    if conversation.verbosity is not None:
        if own or taste.able.verbosity:
            body["verbosity"] = conversation.verbosity
        elif conversation.verbosity != "medium":
            conversation.drop("verbosity")
    if conversation.metadata is not None and own:
        body["metadata"] = conversation.metadata
    elif conversation.metadata:
        # OpenAI takes it with `store` only, and to keep an answer is not ours to ask for: "The 'metadata' parameter is only allowed when
        # 'store' is enabled."
        conversation.drop_extra(conversation.metadata, "metadata.")
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if own and conversation.include_usage is not None:
        body["stream_options"] = {"include_usage": conversation.include_usage}
    elif conversation.stream and not own and taste.quirks.stream_usage:
        body["stream_options"] = {"include_usage": True if conversation.include_usage is None else conversation.include_usage}


def _format(wanted: Format, conversation: Conversation, body: Extra, taste: _Taste) -> None:
    """The answer's form where the provider promises it; elsewhere what it does promise, and an instruction, which is no promise and
    therefore named.
    """
    most = taste.quirks.structured
    if taste.own or wanted.kind in ("text", most) or (most == "json_schema" and wanted.kind != "opaque"):
        body["response_format"] = _own_format(wanted, taste.own)
        return
    conversation.drop("format")
    if wanted.kind == "opaque":
        return
    if most == "json_object":
        body["response_format"] = {"type": "json_object"}
    _instruct(instruction(wanted.schema), body["messages"])


def _instruct(text: str, messages: list[Extra]) -> None:
    """Adds to the instructions that stand first; or puts them there."""
    if not messages or messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": text})
    elif isinstance(messages[0]["content"], str):
        messages[0]["content"] += f"\n\n{text}"
    else:
        messages[0]["content"].append({"type": "text", "text": text})


def _own_format(given: Format, own: bool) -> Extra:
    if given.kind == "opaque":
        return given.extra
    if given.kind != "json_schema":
        return {**given.extra, "type": given.kind}
    inner: Extra = {**given.extra} if own else {}
    if given.name or not own:
        inner["name"] = given.name or "answer"
    if given.schema is not None:
        inner["schema"] = given.schema
    strict = given.strict if own else closed(given.schema)
    if strict is not None:
        inner["strict"] = strict
    return {"type": "json_schema", "json_schema": inner}


def _digest(user: str) -> str:
    """A name for the user that is as good for telling users apart, and short enough."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
