"""A conversation as a generateContent request.

The rules that shape it (https://ai.google.dev/gemini-api/docs/function-calling): a turn of function calls follows a user's, and is followed
at once by as many responses, in one turn; newer models take a call of theirs back only with its signature; the model, and whether the
answer is streamed, stand in the path. Requests that came in this dialect are written as they were.
"""

from operator import attrgetter

from extproc.dialects import documents, instructions, plain
from extproc.dialects.gemini.models import Abilities, abilities
from extproc.dialects.gemini.parts import NAME, write_part
from extproc.dialects.gemini.request_restore import FIELDS, restore
from extproc.dialects.gemini.signatures import SIGNER, UNSIGNED
from extproc.dialects.gemini.thinking import write_thinking
from extproc.dialects.gemini.tools_write import write_tools
from extproc.dialects.gemini.words import NAMES
from extproc.dialects.hub import (
    INSTRUCTING,
    Audio,
    Block,
    Conversation,
    Document,
    Extra,
    Image,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
    kind_of,
)
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.dialects.schemas import instruction

_FILLER = "."
"""A user's turn where the rules want one and the client has none."""

_CARRIED = ("stream_options",)
"""Fields of other dialects that are read though the hub has no word for them, or have no meaning here."""

_STOPS = 5
"""`stopSequences` takes up to 5."""

_TIERS = ("flex", "priority")

_ROLES = {"user": "user", "assistant": "model", "tool": "user"} | dict.fromkeys(INSTRUCTING, "user")
"""Who speaks for each of the hub's roles."""

_MEDIA = (Image, Document, Audio, Video)

_sampled = attrgetter(*FIELDS)


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    if conversation.dialect == NAME:
        return finished(restore(conversation, unsigned=UNSIGNED if abilities(model).signed else ""), quirks, conversation.drop_path)
    able = abilities(model)
    writer = _Foreign(conversation, able)
    system, contents = writer.system(), writer.contents()
    body: Extra = {"contents": contents}
    config: Extra = {}
    write_tools(conversation, body, able)
    _format(conversation, config, system, able, functions="tools" in body, most=quirks.structured)
    if system:
        body["systemInstruction"] = {"parts": system}
    _sampling(conversation, config)
    write_thinking(conversation, config, able)
    if config:
        body["generationConfig"] = config
    _account(conversation, body)
    conversation.drop_extra({key: value for key, value in conversation.extra.items() if key not in _CARRIED})
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


class _Foreign:
    """Writes messages of another dialect's conversation."""

    def __init__(self, conversation: Conversation, able: Abilities) -> None:
        self._conversation = conversation
        self._drop = conversation.drop
        self._able = able
        self._names: dict[str, str] = {}
        """Of the functions that were called, by the ids of the calls."""
        self._seal = ""
        """A signature whose call follows: a dialect without a place for it has it as a block of its own."""
        self._said = False
        """There is something beside instructions."""

    def system(self) -> list[Extra]:
        """Instructions that stand first."""
        return instructions.front(self._conversation, self._parts)

    def contents(self) -> list[Extra]:
        """User and model in turns."""
        return self._mended(instructions.spoken(self._conversation, _ROLES, "parts", self._said_by))

    def _said_by(self, message: Message) -> list[Extra]:
        self._seal = ""
        if message.role in INSTRUCTING:
            return self._parts(instructions.marked(message, self._conversation))
        parts = self._parts(message.blocks)
        if parts:
            self._said = True
        return parts

    def _mended(self, turns: list[Extra]) -> list[Extra]:
        if not self._said:
            self._conversation.refuse_nothing()
        if not turns or turns[0]["role"] == "model":
            turns.insert(0, {"role": "user", "parts": [{"text": _FILLER}]})
        for turn in turns:
            if turn["role"] == "user":
                if len(turn["parts"]) > 1:
                    turn["parts"].sort(key=lambda part: "functionResponse" not in part)
            elif self._able.signed:
                call = next((part for part in turn["parts"] if "functionCall" in part), None)
                if call is not None:  # of calls that were made together, the first one is signed
                    call.setdefault("thoughtSignature", UNSIGNED)
        return turns

    def _parts(self, blocks: list[Block]) -> list[Extra]:
        if (text := plain.words(blocks)) is not None:
            return [{"text": text}]
        parts: list[Extra] = []
        for block in blocks:
            if type(block) is ToolResult:
                parts += self._result(block)
            elif (part := self._part(block)) is not None:
                parts.append(part)
            else:
                continue
            self._leftover(block)
        return parts

    def _leftover(self, block: Block) -> None:
        if block.cache:
            self._drop("blocks[].cache")  # prefixes are cached without being marked
        if type(block) is not Reasoning:
            self._conversation.drop_extra(block.extra, "blocks[].")

    def _part(self, block: Block) -> Extra | None:
        match block:
            case ToolCall():
                self._names[block.id] = block.name
                part = write_part(block)
                if part is not None and self._seal:
                    part, self._seal = {"thoughtSignature": self._seal, **part}, ""
            case Text() | Refusal():
                if not block.text.strip():
                    return None
                if type(block) is Text and block.citations:
                    self._drop("blocks[].citations")
                part = {"text": block.text} if type(block) is Refusal else write_part(block)
            case Reasoning():
                return self._reasoning(block)
            case Document() if block.text is not None:
                return {"text": documents.tagged(block, block.text)}
            case _:
                part = write_part(block)
        if part is None:
            self._drop(f"blocks[].{kind_of(block)}")
        elif block.seal and block.seal.origin != SIGNER:
            del part["thoughtSignature"]
            self._drop("blocks[].seal")
        if type(block) is Document and block.name and part is not None:
            self._drop("blocks[].name")  # Vertex alone takes one
        if type(block) is Image and block.detail not in ("", "auto"):
            self._drop("blocks[].detail")
        return part

    def _reasoning(self, block: Reasoning) -> Extra | None:
        if block.origin == SIGNER and block.redacted:
            self._seal = block.redacted
            return None
        if block.origin == SIGNER:
            return write_part(block)
        self._drop("blocks[].reasoning")  # Gemini goes on from its own thoughts only
        return None

    def _result(self, block: ToolResult) -> list[Extra]:
        name = self._names.get(block.id)
        if name is not None and (said := plain.words(block.blocks)) is not None:
            return [_response(block, name, said)]  # most results
        texts = "\n".join([text for one in block.blocks if (text := _words(one)) is not None])
        media = [one for one in block.blocks if isinstance(one, _MEDIA) and _words(one) is None]
        for one in block.blocks:
            self._leftover(one)
            if type(one) is Opaque:
                self._drop(f"blocks[].{one.kind}")
        seen, after = self._shown(media)
        if after:
            after.insert(0, {"text": f"From the result of {name or 'a tool'}:"})
        if name is None:  # its call was left out, and a response to none is refused
            return [{"text": f"The result of an earlier tool call: {texts}"}, *seen, *after]
        if not texts and after:
            texts = "The result follows."
        response = _response(block, name, texts)
        if seen:
            response["functionResponse"]["parts"] = seen
        return [response, *after]

    def _shown(self, media: list[Image | Document | Audio | Video]) -> tuple[list[Extra], list[Extra]]:
        """What a function's response holds, and what has to follow it: models before 3 see nothing in a response."""
        seen: list[Extra] = []
        after: list[Extra] = []
        for one in media:
            part = self._part(one)
            if part is None:
                continue
            inside = self._able.sees_results and type(one) in (Image, Document) and "inlineData" in part
            (seen if inside else after).append(part)
        return seen, after


def _response(block: ToolResult, name: str, said: str) -> Extra:
    return {"functionResponse": {"id": block.id, "name": name, "response": {"error" if block.error else "output": said}}}


def _words(block: Block) -> str | None:
    """What a block says in words; None if that is not all."""
    if type(block) is Text or type(block) is Refusal:
        return block.text
    return documents.tagged(block, block.text) if type(block) is Document and block.text is not None else None


def _format(conversation: Conversation, config: Extra, system: list[Extra], able: Abilities, *, functions: bool, most: str) -> None:
    """Structured output. Beside functions older models refuse it: there it is an instruction, which is no promise and therefore named."""
    wanted = conversation.format
    if wanted is None or wanted.kind == "text":
        return
    possible = most != "none" and (able.combines or not functions)
    if possible and wanted.kind != "opaque":
        config["responseMimeType"] = "application/json"
    if possible and wanted.kind == "json_object":
        return
    if possible and wanted.schema is not None and most == "json_schema":
        # Takes what `responseSchema` refuses: $ref, additionalProperties, types in lower case.
        config["responseJsonSchema"] = wanted.schema
        return
    conversation.drop("format")
    if wanted.kind != "opaque":
        system.append({"text": instruction(wanted.schema)})


def _sampling(conversation: Conversation, config: Extra) -> None:
    for name, value in zip(FIELDS.values(), _sampled(conversation), strict=True):
        if value is not None and value != []:
            config[name] = value
    if conversation.n == 1:
        del config["candidateCount"]
    if not conversation.logprobs:
        config.pop("responseLogprobs", None)
        if config.pop("logprobs", None):
            conversation.drop("top_logprobs")
    if conversation.stop and len(conversation.stop) > _STOPS:
        conversation.drop("stop")
        config["stopSequences"] = conversation.stop[:_STOPS]


def _account(conversation: Conversation, body: Extra) -> None:
    if conversation.service_tier in _TIERS:
        body["serviceTier"] = conversation.service_tier
    elif conversation.service_tier not in (None, "auto", "default"):
        conversation.drop("service_tier")
    if conversation.user:
        conversation.drop("user")
    if conversation.verbosity not in (None, "medium"):
        conversation.drop("verbosity")
    if conversation.cache:
        conversation.drop("cache")
    if conversation.metadata:
        conversation.drop_extra(conversation.metadata, "metadata.")
