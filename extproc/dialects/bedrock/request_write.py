"""A conversation as a Converse request.

The rules that shape it (https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html): user and assistant
alternate, mostly beginning with the user; results of one turn's tool calls stand together in the user's next message, with some models
alone; no text is blank; documents have a text beside them and names of their own; instructions stand in `system`. Requests that came in
this dialect are written as they were.
"""

from typing import Any

from extproc.dialects import documents, instructions, plain
from extproc.dialects.bedrock.blocks import NAME
from extproc.dialects.bedrock.families import Family, family
from extproc.dialects.bedrock.media import Names, write_audio, write_document, write_image, write_video
from extproc.dialects.bedrock.reasoning import SIGNER, write_reasoning
from extproc.dialects.bedrock.request_restore import restore
from extproc.dialects.bedrock.request_settings import write_settings
from extproc.dialects.bedrock.request_tools import CachePoints, result_content, write_tools
from extproc.dialects.fields import object_of, tool_id
from extproc.dialects.hub import (
    INSTRUCTING,
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
    ToolCall,
    ToolResult,
    Video,
    kind_of,
)

_ID = 64
"""Characters of a tool call's id."""

_FILLER = "."
"""A text where the rules want one and the client has none."""

_DOCUMENTS = frozenset(("document", "searchResult"))
_ROLES = {"user": "user", "assistant": "assistant", "tool": "user"} | dict.fromkeys(INSTRUCTING, "user")
"""Who speaks for each of the hub's roles."""


def write_request(conversation: Conversation, model: str) -> Extra:
    """The request for a provider; names what it cannot say in `conversation.dropped`. The model is not in it: it stands in the path."""
    if conversation.dialect == NAME:
        return restore(conversation)
    able = family(model)
    points = CachePoints(conversation, able)
    body: Extra = {}
    tools = write_tools(conversation, able, points)
    writer = _Foreign(conversation, able, points)
    system = writer.system()
    messages = writer.messages()
    if conversation.cache:
        points.mark(messages[-1]["content"] if messages[-1]["role"] == "user" else [], conversation.cache, "cache")
    body["messages"] = messages
    if tools:
        body["toolConfig"] = tools
    write_settings(conversation, body, system, able)
    if system:
        body["system"] = system
    return body


class _Foreign:
    """Writes messages of another dialect's conversation."""

    def __init__(self, conversation: Conversation, able: Family, points: CachePoints) -> None:
        self._conversation = conversation
        self._drop = conversation.drop
        self._able = able
        self._points = points
        self._names = Names()
        self._said = False
        """There is something beside instructions."""

    def system(self) -> list[Extra]:
        """Instructions that stand first: texts."""
        return instructions.front(self._conversation, self._texts)

    def _texts(self, blocks: list[Block]) -> list[Extra]:
        texts: list[Block] = [block for block in blocks if type(block) is Text]
        for block in blocks:
            if type(block) is not Text:
                self._drop(f"blocks[].{kind_of(block)}")
        return self._blocks(texts)

    def messages(self) -> list[Extra]:
        """User and assistant in turns."""
        return self._mended(instructions.spoken(self._conversation, _ROLES, "content", self._said_by))

    def _said_by(self, message: Message) -> list[Extra]:
        if message.role in INSTRUCTING:
            return self._blocks(instructions.marked(message, self._conversation))
        content = self._blocks(message.blocks)
        if content:
            self._said = True
        return content

    def _mended(self, turns: list[Extra]) -> list[Extra]:
        if not self._said:
            self._conversation.refuse_nothing()
        if not turns or (turns[0]["role"] == "assistant" and not self._able.leads):
            turns.insert(0, _turn("user"))
        mended: list[Extra] = []
        for turn in turns:
            content = turn["content"]
            if turn["role"] == "assistant" or (len(content) == 1 and "text" in content[0]):  # most turns
                mended.append(turn)
            else:
                mended += self._user(content)
        last = mended[-1]
        if last["role"] == "assistant":
            if not self._able.prefill or "toolUse" in last["content"][-1]:
                mended.append(_turn("user"))
            elif "text" in last["content"][-1]:
                last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()
        return mended

    def _user(self, content: list[Extra]) -> list[Extra]:
        """A user's turn: results first, and what may not stand beside them in a turn of its own."""
        rest = [block for block in content if "toolResult" not in block]
        if not rest:
            return [{"role": "user", "content": content}]
        results = [block for block in content if "toolResult" in block]
        if any("document" in block for block in rest) and not any("text" in block for block in rest):
            rest.insert(0, {"text": _FILLER})
        kinds = {next(iter(block)) for block in rest} - {"cachePoint"}
        if not results or kinds <= self._able.beside:
            return [{"role": "user", "content": results + rest}]
        # Turns of the same role would be joined again.
        return [{"role": "user", "content": results}, _turn("assistant"), {"role": "user", "content": rest}]

    def _blocks(self, blocks: list[Block]) -> list[Extra]:
        if (text := plain.words(blocks)) is not None:
            return [{"text": text}]
        written: list[Extra] = []
        for block in blocks:
            new = self._block(block)
            written += new
            if block.seal and type(block) is not Reasoning:
                self._drop("blocks[].seal")
            if block.cache and new:
                self._points.mark(written, block.cache, "blocks[].cache")
            if block.extra and new:
                self._leftover(block, new)
        return written

    def _leftover(self, block: Block, written: list[Extra]) -> None:
        cited = self._able.cites and not _DOCUMENTS.isdisjoint(written[0])
        for key, value in block.extra.items():
            if value and type(block) is not Reasoning and not documents.says_cited(block, value, can=cited):
                self._drop(f"blocks[].{key}")

    def _block(self, block: Block) -> list[Extra]:
        match block:
            case Text() | Refusal():
                if type(block) is Text and block.citations:
                    self._drop("blocks[].citations")
                return [{"text": block.text}] if block.text.strip() else []
            case ToolCall():
                call = {"toolUseId": tool_id(block.id, _ID), "name": block.name, "input": object_of(block.arguments)}
                return [{"toolUse": call}]
            case ToolResult():
                return self._result(block)
            case Reasoning():
                return self._reasoning(block)
        written = self._media(block)
        if written is None:
            self._drop(f"blocks[].{kind_of(block)}")
        return [written] if written else []

    def _media(self, block: Block) -> Extra | None:
        match block:
            case Image():
                if block.detail not in ("", "auto"):
                    self._drop("blocks[].detail")
                return write_image(block)
            case Document():
                return self._document(block)
            case Video():
                return write_video(block)
            case Audio():
                return write_audio(block)
        return None

    def _document(self, block: Document) -> Extra | None:
        cited = {"citations": documents.CITED} if block.cited and self._able.cites else {}
        if documents.is_found(block) and self._able.cites:
            content = [{"text": piece} for piece in documents.pieces(block)]
            return {"searchResult": {"source": block.url, "title": block.name, "content": content, **cited}}
        if documents.is_found(block):
            return {"text": documents.tagged(block, block.text or "")}
        written = write_document(block, self._names.name(block.name))
        if written is not None:
            written["document"] |= cited
        return written

    def _reasoning(self, block: Reasoning) -> list[Extra]:
        if self._able.signs and block.origin == SIGNER and (block.signature or block.redacted):
            return [{"reasoningContent": write_reasoning(block)}]
        self._drop("blocks[].reasoning")  # a model takes back only what it has signed itself
        return []

    def _result(self, block: ToolResult) -> list[Extra]:
        """A tool's result, and after it what may not stand in it."""
        able, identifier = self._able, tool_id(block.id, _ID)
        inside: list[Extra] = []
        after: list[Extra] = []
        for part in block.blocks:
            told = self._block(part)
            if part.extra and told:
                self._leftover(part, told)
            for written in told:
                kind = next(iter(written))
                if kind == "text" or kind in able.inside:
                    inside.append(written)
                else:
                    after += [{"text": f"From the result of tool call {identifier}:"}, written]
        result: Extra = {"toolUseId": identifier, "content": result_content(inside, json=able.json_results)}
        if block.error is not None and able.status:
            result["status"] = "error" if block.error else "success"
        elif block.error:
            self._drop("blocks[].error")
        told = [{"toolResult": result}]
        # A point stands beside a result, never in it.
        if not block.cache and (cache := next((part.cache for part in block.blocks if part.cache), None)):
            self._points.mark(told, cache, "blocks[].cache")
        return told + after


def _turn(role: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": _FILLER}]}
