"""Conversations, answers and streams of the internal form, made up by hypothesis: all that the hub has words for, in every legal order.

Whatever is said has a mark of its own (`#7`), so that it is found again wherever a dialect puts it.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import strategies as st

from extproc.dialects import texts
from extproc.dialects.hub import (
    Answer,
    Audio,
    Block,
    Cache,
    Choice,
    Citation,
    Conversation,
    Custom,
    Document,
    Format,
    Image,
    Logprob,
    Message,
    Reasoning,
    Refusal,
    Seal,
    StopReason,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)
from extproc.usage import Usage

T = TypeVar("T")

ORIGINS = ("anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "cohere-command-v1", "somebody-else-v1")
ENCRYPTING = ("anthropic-claude-v1", "openai-responses-v1", "somebody-else-v1")
"""Those of them who may tell nothing but that they have reasoned."""
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,19}", fullmatch=True)
NUMBERS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 2.0])
LEAVES: st.SearchStrategy[Any] = st.integers(-(2**53), 2**53) | st.booleans() | st.none() | LETTERS
ARGUMENTS = st.dictionaries(NAMES, LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(NAMES, LEAVES, max_size=2), max_size=3)
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.lists(NAMES, max_size=3, unique=True).map(
    lambda names: {
        "type": "object",
        "properties": {name: {"type": ("string", "integer", "boolean")[i]} for i, name in enumerate(names)},
        "required": sorted(names),
        "additionalProperties": False,
    }
)
CACHES = st.sampled_from([Cache(), Cache("5m"), Cache("1h")])


class Maker:
    """Makes things that are told apart."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self._marks = itertools.count()

    def mark(self) -> str:
        return f"#{next(self._marks)}."

    def words(self) -> str:
        return self.mark() + self.draw(LETTERS)

    def bytes(self, head: bytes) -> str:
        """Base64 that is written with all its letters, two of which differ between its alphabets."""
        return base64.b64encode(head + self.mark().encode() + self.draw(st.sampled_from([b"", b"\xfb\xff\xfe", b"\x00"]))).decode()

    def url(self, end: str) -> str:
        return f"https://media.test/{self.mark()[1:-1]}{end}"

    def maybe(self, make: Callable[[], T], otherwise: T) -> T:
        """Seldom: most things are plain."""
        return make() if self.draw(st.integers(0, 3)) == 3 else otherwise


def signature(made: Maker) -> tuple[str, str]:
    return made.bytes(b"signature of a maker, as long as they are "), made.draw(st.sampled_from(ORIGINS))


def seal(made: Maker) -> Seal:
    """Nobody signs what is no reasoning but Google, and whoever may come."""
    return Seal(made.bytes(b"seal"), made.draw(st.sampled_from(["google-gemini-v1", "google-gemini-v1", "somebody-else-v1"])))


def citation(made: Maker, text: str) -> Citation:
    """One of a part of a text, or of all of it; of a page or of a file."""
    start, end = 0, made.draw(st.sampled_from([0, len(text)]))
    return Citation(
        url=made.draw(st.sampled_from([made.url(""), made.url(""), ""])), title=made.words(), quote=text[start:end], start=start, end=end
    )


def text(made: Maker) -> Text:
    block = Text(made.words())
    block.cache = made.maybe(lambda: made.draw(CACHES), None)
    return block


def image(made: Maker) -> Image:
    detail = made.draw(st.sampled_from(["", "", "low", "high"]))
    if made.draw(st.booleans()):
        return Image(media_type=made.draw(st.sampled_from(["image/png", "image/jpeg"])), data=made.bytes(b"\x89PNG"), detail=detail)
    return Image(url=made.url(".png"), detail=detail)


def document(made: Maker) -> Document:
    name = made.draw(st.sampled_from(["", f"file-{made.mark()[1:-1]}.pdf"]))
    match made.draw(st.integers(0, 2)):
        case 0:
            return Document(media_type="application/pdf", data=made.bytes(b"%PDF"), name=name)
        case 1:
            return Document(url=made.url(".pdf"), name=name)
    return Document(media_type="text/plain", text=made.words(), name=name)


def audio(made: Maker) -> Audio:
    return Audio(made.bytes(b"RIFF"), made.draw(st.sampled_from(["wav", "mp3"])))


def video(made: Maker) -> Video:
    if made.draw(st.booleans()):
        return Video(media_type="video/mp4", data=made.bytes(b"mp4"))
    return Video(media_type="video/mp4", url=made.url(".mp4"))


def reasoning(made: Maker) -> Reasoning:
    sealed, origin = signature(made)
    match made.draw(st.integers(0, 3)):
        case 0:
            return Reasoning(made.words())
        case 1:
            return Reasoning(redacted=sealed, origin=made.draw(st.sampled_from(ENCRYPTING)))
    return Reasoning(made.words(), sealed, origin=origin)


def takes_text(name: str) -> bool:
    """Tools with such names are called with a text."""
    return name[0].isupper()


def call(made: Maker, names: list[str]) -> ToolCall:
    name = made.draw(st.sampled_from(names))
    custom = takes_text(name)
    arguments = texts.arguments(made.words()) if custom else json.dumps(made.draw(ARGUMENTS), ensure_ascii=False)
    block = ToolCall(f"call_{made.mark()[1:-1]}", name, arguments, custom=custom)
    block.seal = made.maybe(lambda: seal(made), None)
    return block


def result(made: Maker, asked: ToolCall) -> ToolResult:
    blocks: list[Block] = [text(made)]
    blocks += made.maybe(lambda: [image(made)], [])
    blocks += made.maybe(lambda: [document(made)], [])
    return ToolResult(
        asked.id, made.draw(st.sampled_from([blocks, blocks[:1]])), made.draw(st.sampled_from([None, None, True])), name=asked.name
    )


def said(made: Maker) -> list[Block]:
    """A user's message."""
    makers: list[Callable[[Maker], Block]] = [text, text, text, image, document, audio, video]
    return [make(made) for make in made.draw(st.lists(st.sampled_from(makers), min_size=1, max_size=3))]


def replied(made: Maker, names: list[str]) -> list[Block]:
    """A model's turn: what it thought, what it said, which tools it called."""
    blocks: list[Block] = made.maybe(lambda: [reasoning(made)], [])
    if made.draw(st.integers(0, 3)):
        words = text(made)
        words.cache = None
        words.citations = made.maybe(lambda: [citation(made, words.text)], [])
        words.seal = made.maybe(lambda: seal(made), None)
        blocks.append(words)
    elif made.draw(st.booleans()):
        blocks.append(Refusal(made.words()))
    calls: list[Block] = [call(made, names) for _ in range(made.draw(st.integers(0, 2)))] if names else []
    return blocks + calls or [Text(made.words())]


def history(made: Maker, names: list[str]) -> Iterator[Message]:
    """Turns; all calls of one are answered in the next. Instructions may stand anywhere among them."""
    for _ in range(made.draw(st.integers(0, 2))):
        yield from instructed(made)
        yield Message(role="user", blocks=said(made))
        yield from instructed(made)
        blocks = replied(made, names)
        yield Message(role="assistant", blocks=blocks)
        if results := [result(made, block) for block in blocks if type(block) is ToolCall]:
            yield from instructed(made)
            yield Message(role="tool", blocks=list(results))
            yield from instructed(made)
            yield Message(role="assistant", blocks=replied(made, []))
    yield Message(role="user", blocks=said(made))
    yield from instructed(made)


def instructed(made: Maker) -> Iterator[Message]:
    """Instructions, now and then."""
    if made.draw(st.integers(0, 9)) == 9:
        yield Message(role=made.draw(st.sampled_from(["system", "developer"])), blocks=[text(made)])


def tool(made: Maker, name: str) -> Tool:
    if takes_text(name):
        custom = texts.tool(name, made.draw(st.sampled_from([None, made.words()])), Custom())
        custom.cache = made.maybe(lambda: made.draw(CACHES), None)
        return custom
    return Tool(
        name=name,
        description=made.draw(st.sampled_from([None, made.words()])),
        schema=made.draw(SCHEMAS),
        strict=made.draw(st.sampled_from([None, None, True])),
        cache=made.maybe(lambda: made.draw(CACHES), None),
    )


def choice(made: Maker, names: list[str]) -> ToolChoice:
    mode = made.draw(st.sampled_from(["auto", "none", "required", "tool"]))
    allowed = made.maybe(lambda: names[:1], None) if mode in ("auto", "required") else None
    return ToolChoice(mode=mode, name=names[0] if mode == "tool" else "", allowed=allowed)


def form(made: Maker) -> Format:
    if kind := made.draw(st.sampled_from(["", "text", "json_object"])):
        return Format(kind=kind)
    return Format(kind="json_schema", schema=made.draw(SCHEMAS), name="answer", strict=made.draw(st.sampled_from([None, True])))


def thinking(made: Maker) -> Thinking:
    match made.draw(st.integers(0, 3)):
        case 0:
            return Thinking(mode="enabled", budget=made.draw(st.sampled_from([1024, 3000])))
        case 1:
            return Thinking(mode="disabled")
        case 2:
            return Thinking(
                effort=made.draw(st.sampled_from(["low", "high"])), summary=made.draw(st.sampled_from(["", "auto", "detailed"]))
            )
    return Thinking(effort=made.draw(st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"])))


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": NUMBERS,
    "top_p": st.sampled_from([0.1, 0.5, 1.0]),
    "top_k": st.integers(1, 40),
    "max_tokens": st.integers(1, 9999),
    "stop": st.lists(NAMES, min_size=1, max_size=6, unique=True),
    "seed": st.integers(0, 2**31 - 1),
    "presence_penalty": NUMBERS,
    "frequency_penalty": NUMBERS,
    "n": st.integers(1, 3),
    "logprobs": st.booleans(),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "cache": CACHES,
    "user": NAMES,
    "metadata": st.dictionaries(NAMES, NAMES, min_size=1, max_size=2),
    "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
    "stream": st.booleans(),
}
"""Fields of a conversation that stand for themselves."""


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A request for an answer, of nobody's dialect."""
    made = Maker(draw)
    tools = draw(st.lists(NAMES, max_size=2, unique_by=str.lower))
    conversation = Conversation(dialect="hub", model="m", messages=list(history(made, tools)))
    if draw(st.booleans()):
        conversation.system = Message(role="system", blocks=[text(made)])
    if tools:
        conversation.tools = [tool(made, name) for name in tools]
        conversation.tool_choice = made.maybe(lambda: choice(made, tools), None)
        conversation.parallel_tool_calls = draw(st.sampled_from([None, None, False, True]))
    if draw(st.booleans()):
        server = draw(st.sampled_from(["web_search", "web_fetch", "code_execution"]))
        conversation.tools = [*(conversation.tools or []), Tool(name=server, server=server, opaque={"type": server})]
    conversation.format = made.maybe(lambda: form(made), None)
    conversation.thinking = made.maybe(lambda: thinking(made), None)
    for name in draw(st.sets(st.sampled_from(sorted(SETTINGS)), max_size=6)):
        setattr(conversation, name, draw(SETTINGS[name]))
    if conversation.logprobs:
        conversation.top_logprobs = draw(st.sampled_from([None, 3]))
    return conversation


# Answers.

USAGES = st.builds(
    lambda fresh, read, written, hour, output, thought: Usage(
        input=fresh + read + written + hour,
        output=output + thought,
        cache_read=read,
        cache_write=written + hour,
        cache_write_1h=hour,
        reasoning=thought,
    ),
    *[st.integers(0, 99) for _ in range(6)],
)


def logprob(token: str) -> Logprob:
    other = Logprob(token="other", logprob=-2.5)
    one = Logprob(token=token, logprob=-0.5, bytes=list(token.encode()))
    return Logprob(token=token, logprob=-0.5, bytes=list(token.encode()), top=[one, other])


def answered(made: Maker, names: list[str]) -> list[Block]:
    """What an answer consists of: as a turn of a history, but with what only answers have."""
    blocks = replied(made, names)
    for block in blocks:
        if type(block) is Text:
            block.logprobs = made.maybe(lambda block=block: [logprob(block.text)], None)  # type: ignore[misc]
    if made.draw(st.integers(0, 9)) == 9:
        blocks.append(Image(media_type="image/png", data=made.bytes(b"\x89PNG")))
    return blocks


def stopped(made: Maker, blocks: list[Block]) -> tuple[StopReason, str | None]:
    """Why, and at which sequence."""
    if any(type(block) is ToolCall for block in blocks):
        return StopReason.TOOL, None
    reason = made.draw(st.sampled_from([reason for reason in StopReason if reason not in (StopReason.TOOL, StopReason.ERROR)]))
    return reason, "END" if reason is StopReason.STOP_SEQUENCE else None


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """A whole answer, of nobody's dialect."""
    made = Maker(draw)
    choices = []
    for index in range(draw(st.sampled_from([1, 1, 1, 2]))):
        blocks = answered(made, ["weather", "time", "Calculate"])
        stop, sequence = stopped(made, blocks)
        choices.append(Choice(index=index, blocks=blocks, stop=stop, stop_sequence=sequence))
    tier = draw(st.sampled_from([None, "default", "priority"]))
    return Answer(
        dialect="hub", id="answer-1", model="m-1", created=1_700_000_000, choices=choices, usage=draw(st.none() | USAGES), service_tier=tier
    )
