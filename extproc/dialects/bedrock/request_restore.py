"""A Bedrock conversation written back in its own words: nothing is lost and nothing added."""

from typing import Any

import msgspec

from extproc.dialects import documents
from extproc.dialects.bedrock.blocks import MEMBER
from extproc.dialects.bedrock.media import DOCUMENTS, IMAGES, VIDEOS, format_of
from extproc.dialects.bedrock.reasoning import foreign, write_reasoning
from extproc.dialects.fields import object_of
from extproc.dialects.hub import (
    Audio,
    Block,
    Conversation,
    Document,
    Extra,
    Image,
    Message,
    Opaque,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)

_INFERENCE = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP", "stop": "stopSequences"}


def restore(conversation: Conversation) -> Extra:
    """The request as it was read, but for what another maker has sealed. The model is not in it: it stands in the path."""
    body: Extra = {**conversation.extra}
    if conversation.messages:
        body["messages"] = [_own_message(message, conversation) for message in conversation.messages]
    if conversation.system is not None:
        body["system"] = own_content(conversation.system.blocks)
    inference = {word: value for name, word in _INFERENCE.items() if (value := getattr(conversation, name)) is not None}
    if inference:
        body["inferenceConfig"] = {**(body.get("inferenceConfig") or {}), **inference}
    _tools(conversation, body)
    if wanted := conversation.format:
        body["outputConfig"] = {**(body.get("outputConfig") or {}), "textFormat": wanted.extra}
    _model_fields(conversation, body)
    if conversation.metadata is not None:
        body["requestMetadata"] = conversation.metadata
    if conversation.service_tier is not None:
        body["serviceTier"] = {"type": conversation.service_tier}
    return body


def _own_message(message: Message, conversation: Conversation) -> Extra:
    blocks = [block for block in message.blocks if not foreign(block)]
    if len(blocks) < len(message.blocks):
        conversation.drop_path("messages[].content[].reasoningContent")
    return {**message.extra, "role": message.role, "content": own_content(blocks)}


def _tools(conversation: Conversation, body: Extra) -> None:
    config: Extra = (body.get("toolConfig") or {}).copy()
    if conversation.tools is not None:
        config["tools"] = [written for tool in conversation.tools for written in _own_tool(tool)]
    if conversation.tool_choice:
        config["toolChoice"] = _own_choice(conversation.tool_choice)
    if config:
        body["toolConfig"] = config


def _own_tool(tool: Tool) -> list[Extra]:
    cache = [tool.cache.raw] if tool.cache else []
    if tool.opaque is not None:
        return [tool.opaque, *cache]
    spec: Extra = {**tool.extra.get("toolSpec", {}), "name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    if tool.schema is not None:
        spec["inputSchema"] = {**spec.get("inputSchema", {}), "json": tool.schema}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return [{**tool.extra, "toolSpec": spec}, *cache]


def _own_choice(choice: ToolChoice) -> Any:
    if choice.raw is not None:
        return choice.raw
    return {"tool": {"name": choice.name}} if choice.mode == "tool" else {"any" if choice.mode == "required" else "auto": {}}


def _model_fields(conversation: Conversation, body: Extra) -> None:
    thinking, fields = conversation.thinking, conversation.fields
    said: list[tuple[str, Any]] = [("top_k", conversation.top_k)]
    if thinking:
        said.append(("effort", thinking.effort or None))
    for name, value in said:
        if value is not None and name in fields:
            _put(body, fields[name], value)
    if thinking and thinking.mode and "thinking" in fields:
        _put(body, fields["thinking"] + ".type", thinking.mode)
        if thinking.budget is not None:
            _put(body, fields["thinking"] + ".budget_tokens", thinking.budget)


def _put(body: Extra, path: str, value: Any) -> None:
    """Sets what stands at `path`; objects on the way are copied, for they are the reader's."""
    *parents, last = path.split(".")
    for key in parents:
        body[key] = body = {**body.get(key, {})}
    body[last] = value


def own_content(blocks: list[Block]) -> list[Extra]:
    """Blocks as they were, each with its cache point after it."""
    return [written for block in blocks for written in (own_block(block), *([block.cache.raw] if block.cache else []))]


def own_block(block: Block) -> Extra:
    """A block of this dialect, as it was."""
    match block:
        case Opaque():
            return block.value
        case Text():
            return _own_text(block)
        case ToolCall():
            call = {"toolUseId": block.id, "name": block.name, "input": object_of(block.arguments)}
            return _within(block, "toolUse", call)
        case ToolResult():
            result: Extra = {"toolUseId": block.id, "content": own_content(block.blocks)}
            if block.error is not None:
                result["status"] = "error" if block.error else "success"
            return _within(block, "toolResult", result)
        case Reasoning():
            return _own_reasoning(block)
        case Image():
            return _own_media(block, "image", format_of(IMAGES, block.media_type), block.data, block.url)
        case Video():
            return _own_media(block, "video", format_of(VIDEOS, block.media_type), block.data, block.url)
        case Audio():
            return _own_media(block, "audio", block.format, block.data, "")
        case Document():
            return _own_document(block)
    return {"text": block.text}


def _within(block: Block, kind: str, written: Extra) -> Extra:
    return {**block.extra, kind: {**(block.extra.get(kind) or {}), **written}}


def _own_text(block: Text) -> Extra:
    extra, member = block.extra, block.local.get(MEMBER)
    if member == "citationsContent":
        cited: Extra = {"content": [{"text": block.text}], **extra["citationsContent"]}
        if block.citations:
            cited["citations"] = [citation.raw for citation in block.citations]
        return {**extra, "citationsContent": cited}
    if member == "guardContent":
        return {**extra, "guardContent": {"text": {**extra["guardContent"], "text": block.text}}}
    if member == "json":
        return {**extra, "json": msgspec.json.decode(block.text)}
    return {**extra, "text": block.text}


def _own_reasoning(block: Reasoning) -> Extra:
    written = write_reasoning(block)
    if more := block.extra.get("reasoningContent"):
        written = {"reasoningText": {**more["reasoningText"], **written["reasoningText"]}}
    return {**block.extra, "reasoningContent": written}


def _own_media(block: Block, kind: str, name: str, data: str, url: str) -> Extra:
    more = block.extra.get(kind) or {}
    where: Extra = {"bytes": data}
    if url:
        where = {"s3Location": {**more.get("source", {}).get("s3Location", {}), "uri": url}}
    return {**block.extra, kind: {**({"format": name} if name else {}), **more, "source": where}}


def _own_document(block: Document) -> Extra:
    local = {name: value for name, value in block.local.items() if name != MEMBER}
    if MEMBER in block.local:
        content = [{"text": piece} for piece in documents.pieces(block)]
        found = {**block.extra["searchResult"], **local, "content": content, "title": block.name, "source": block.url}
        return {**block.extra, "searchResult": found}
    written = _own_media(block, "document", format_of(DOCUMENTS, block.media_type), block.data, block.url)
    inner = written["document"]
    inner |= local
    if block.text is not None:
        inner["source"] = {"text": block.text}
    if block.name:
        inner["name"] = block.name
    return written
