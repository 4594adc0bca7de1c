"""Streams of hub events, made of made-up answers: blocks in pieces, calls side by side, choices in turns, pings in between."""

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import strategies as st
from msgspec import structs

from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Choice,
    CitationDelta,
    Finish,
    Image,
    Ping,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from tests.dialects.made import answers

T = TypeVar("T")


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """A text in up to three."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=2)))
    return [piece for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if (piece := text[begin:end])]


def told(draw: st.DrawFn, index: int, choice: int, block: Block) -> list[StreamEvent]:
    """A block: its beginning, its pieces, its end. What seals it or shows its sources comes last, or is there from the start."""
    late: list[StreamEvent] = []
    middle: list[StreamEvent] = []
    begun: Block = block
    match block:
        case Text():
            begun = Text("")
            likely = block.logprobs
            middle = [TextDelta(index, piece) for piece in ([block.text] if likely else pieces(draw, block.text))]
            if likely and isinstance(middle[0], TextDelta):
                middle[0].logprobs = likely
            late = [CitationDelta(index, citation) for citation in block.citations]
        case Refusal():
            begun = Refusal("")
            middle = [TextDelta(index, piece) for piece in pieces(draw, block.text)]
        case Reasoning() if not block.redacted:
            begun = Reasoning(origin=block.origin)
            middle = [ReasoningDelta(index, piece) for piece in pieces(draw, block.text)]
            late = [SignatureDelta(index, block.signature, block.origin)] if block.signature else []
        case ToolCall():
            begun = ToolCall(block.id, block.name, "")
            middle = [ArgumentsDelta(index, piece) for piece in pieces(draw, block.arguments)]
    if block.seal:
        if type(block) is ToolCall or draw(st.booleans()):
            begun = structs.replace(begun, seal=Seal(block.seal.value, block.seal.origin))
        else:
            late.append(SignatureDelta(index, block.seal.value, block.seal.origin))
    return [BlockStart(index, begun, choice), *middle, *late, BlockStop(index)]


def side_by_side(draw: st.DrawFn, lanes: list[list[StreamEvent]]) -> list[StreamEvent]:
    """Several in turns, each in its own order."""
    waiting = [list(lane) for lane in lanes]
    mixed: list[StreamEvent] = []
    while waiting := [lane for lane in waiting if lane]:
        mixed.append(draw(st.sampled_from(waiting)).pop(0))
    return mixed


def begun_in_order(draw: st.DrawFn, lanes: list[list[T]]) -> list[T]:
    """Several in turns, each in its own order, and none begins before the one that it follows."""
    waiting = [list(lane) for lane in lanes]
    mixed: list[T] = []
    while any(waiting):
        begun = sum(len(lane) < len(whole) for lane, whole in zip(waiting, lanes, strict=True))
        mixed.append(draw(st.sampled_from([lane for lane in waiting[: begun + 1] if lane])).pop(0))
    return mixed


def turn(draw: st.DrawFn, choice: Choice, first: int) -> list[StreamEvent]:
    """All of a choice. Calls may be told in turns, from the start or from where another begins."""
    lanes = [told(draw, first + i, choice.index, structs.replace(block)) for i, block in enumerate(choice.blocks)]
    calls = [lane for block, lane in zip(choice.blocks, lanes, strict=True) if type(block) is ToolCall]
    rest = [event for lane in lanes if lane not in calls for event in lane]
    pictures = [
        event for lane in lanes for event in lane if lane not in calls and isinstance(choice.blocks[-1], Image) and lane is lanes[-1]
    ]
    rest = [event for event in rest if not any(event is one for one in pictures)]
    mixed = len(calls) > 1 and draw(st.booleans())
    called = begun_in_order(draw, calls) if mixed else [event for lane in calls for event in lane]
    stop = Stop(reason=choice.stop or StopReason.END, sequence=choice.stop_sequence, choice=choice.index)
    return [*rest, *called, *pictures, stop]


@st.composite
def streams(draw: st.DrawFn, of: st.SearchStrategy[Answer] | None = None) -> tuple[Answer, list[StreamEvent]]:
    """An answer, and a stream that says the same."""
    answer = draw(answers() if of is None else of)
    first, lanes = 0, []
    for choice in answer.choices:
        lanes.append(turn(draw, choice, first))
        first += len(choice.blocks)
    start = Start(id=answer.id, model=answer.model, created=answer.created, dialect="hub", service_tier=answer.service_tier)
    events = side_by_side(draw, lanes)
    if answer.usage:
        # Some tell it before the reason, most after; some at the start as well.
        events.insert(len(events) - draw(st.integers(0, 1)), Used(answer.usage))
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), Ping())
    return answer, [start, *events, Finish()]


def one_at_a_time(events: Iterable[StreamEvent]) -> bool:
    """Whether each block ends before the next one begins, and nothing is told of any but the open one."""
    current: int | None = None
    for event in events:
        match event:
            case BlockStart():
                if current is not None:
                    return False
                current = event.index
            case TextDelta() | ReasoningDelta() | ArgumentsDelta() | CitationDelta() | SignatureDelta():
                if event.index != current:
                    return False
            case BlockStop():
                if event.index != current:
                    return False
                current = None
    return True


def assembled(events: Iterable[StreamEvent]) -> Answer:
    """The answer that a stream adds up to. Raises `KeyError` where something is told of a block that has not begun."""
    answer = Answer(dialect="", id="", model="", choices=[])
    blocks: dict[int, Block] = {}
    choices: dict[int, Choice] = {}
    for event in events:
        match event:
            case Start():
                answer.id, answer.model, answer.created, answer.service_tier = event.id, event.model, event.created, event.service_tier
                answer.usage = event.usage
            case BlockStart():
                block = structs.replace(event.block)
                if isinstance(block, Text):
                    block.citations, block.logprobs = [*block.citations], [*(block.logprobs or ())]
                assert event.index not in blocks, "a block begins twice"
                blocks[event.index] = block
                choices.setdefault(event.choice, Choice(index=event.choice, blocks=[])).blocks.append(block)
            case Stop():
                choice = choices.setdefault(event.choice, Choice(index=event.choice, blocks=[]))
                choice.stop, choice.stop_sequence = event.reason, event.sequence
            case Used():
                answer.usage = event.usage
            case TextDelta() | ReasoningDelta() | ArgumentsDelta() | CitationDelta() | SignatureDelta():
                _add(blocks[event.index], event)
    answer.choices = [choices[index] for index in sorted(choices)]
    return answer


def _add(block: Block, event: StreamEvent) -> None:
    match event, block:
        case TextDelta(), Text() | Refusal():
            block.text += event.text
            if isinstance(block, Text) and event.logprobs:
                block.logprobs = [*(block.logprobs or ()), *event.logprobs]
        case ReasoningDelta(), Reasoning():
            block.text += event.text
        case ArgumentsDelta(), ToolCall():
            block.arguments += event.text
        case CitationDelta(), Text():
            block.citations.append(event.citation)
        case SignatureDelta(), Reasoning():
            block.signature += event.signature
            block.origin = event.origin or block.origin
        case SignatureDelta(), _:
            before = block.seal.value if block.seal else ""
            block.seal = Seal(before + event.signature, event.origin)
        case _:
            raise AssertionError(f"{event} is no change to {block}")
