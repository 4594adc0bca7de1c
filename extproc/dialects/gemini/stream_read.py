"""A provider's Gemini stream: each event is a response that holds what is new. https://ai.google.dev/api/generate-content#v1beta.models

Nothing ends the stream but the connection, so it is whole when every candidate has a reason to stop, or the prompt was blocked.
"""

from typing import Any

from extproc.dialects.fields import FieldError, items, obj, take_int, take_str
from extproc.dialects.framing import RawEvent
from extproc.dialects.gemini import glance, tokens
from extproc.dialects.gemini.answer import blocked, created, read_stop, read_tier
from extproc.dialects.gemini.citations import read_citations
from extproc.dialects.gemini.errors import read_object
from extproc.dialects.gemini.logprobs import read_logprobs
from extproc.dialects.gemini.partial import PartialCall, is_piece
from extproc.dialects.gemini.parts import NAME, only_text, read_part, read_parts
from extproc.dialects.hub import (
    Aside,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Extra,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
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
from extproc.dialects.reading import Reading, decoded

_TOLD = frozenset(("modelVersion", "responseId", "createTime", "usageMetadata"))
"""Said in every chunk, or told apart."""


class _Candidate:
    """The state of one candidate."""

    __slots__ = ("called", "cited", "index", "kind", "partial", "stopped", "texts")

    def __init__(self) -> None:
        self.index = -1
        self.kind: type | None = None
        """Of the open block, which is number `index`."""
        self.texts: dict[int, list[str]] = {}
        """What was said, by block."""
        self.called = False
        self.stopped = False
        self.cited: list[Citation] = []
        self.partial: PartialCall | None = None
        """A call of which more is to come."""


class StreamReader(Reading):
    """Reads responses into hub events."""

    keeps_words = True  # citations are told by their places in them

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, _Candidate] = {}
        self._told: Extra = {}
        """What was told of usage, the latest of each field."""
        self._started = False
        self._blocked = False
        self._blocks = 0

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        chunk = decoded(event)
        if error := chunk.get("error"):
            return self._fail(read_object(error))
        return self._chunk(chunk)

    def _is_complete(self) -> bool:
        return self._blocked or (bool(self._candidates) and all(one.stopped for one in self._candidates.values()))

    def _finish(self) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for candidate in self._candidates.values():
            _close(candidate, events)
        return events + super()._finish()

    def _chunk(self, chunk: Extra) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if not self._started:
            events.append(self._start(chunk))
        given = chunk.pop("candidates", None)
        words = glance.words(given)
        if words is not None and (candidate := self._candidates.get(words[0])) and candidate.kind is Text:
            self._words(words[1], candidate, words[0], events)
        else:
            for position, value in enumerate(items(given, "candidates") if given is not None else ()):
                self._candidate(obj(value, "candidates[]"), position, events)
        if not self._blocked and (refusal := blocked(chunk.get("promptFeedback"))):
            self._blocked = True
            events += (BlockStart(self._blocks, refusal), BlockStop(self._blocks), Stop(reason=StopReason.FILTER, dialect=NAME))
            self._blocks += 1
        self._use(chunk.get("usageMetadata"), events)
        if not chunk.keys() <= _TOLD:
            events.append(Aside(NAME, {key: value for key, value in chunk.items() if key not in _TOLD}))
        return events

    def _start(self, chunk: Extra) -> Start:
        self._started = True
        return Start(
            id=take_str(chunk, "responseId") or "",
            model=take_str(chunk, "modelVersion") or "",
            created=created(chunk.get("createTime")),
            dialect=NAME,
            service_tier=read_tier(chunk.get("usageMetadata")),
            extra={"createTime": chunk["createTime"]} if "createTime" in chunk else {},
        )

    def _use(self, raw: Any, events: list[StreamEvent]) -> None:
        if type(raw) is not dict:
            return
        told = self._told | (raw if None not in raw.values() else {key: value for key, value in raw.items() if value is not None})
        usage = tokens.glance(told)
        if usage is None:
            if (counted := tokens.read_tokens(told)) is None:
                return
            usage = tokens.count(counted)
        self._told = told
        if usage:
            events.append(Used(usage, raw, NAME))
        elif raw:
            events.append(Aside(NAME, {"usageMetadata": raw}))

    def _candidate(self, rest: Extra, position: int, events: list[StreamEvent]) -> None:
        index = take_int(rest, "index", "candidates[].")
        number = position if index is None else index
        candidate = self._candidates.get(number)
        if candidate is None:
            candidate = self._candidates[number] = _Candidate()
        content = rest.pop("content", None)
        if content is not None:
            self._content(content, candidate, number, events)
        word = take_str(rest, "finishReason", "candidates[].")
        if rest:
            self._rest(rest, candidate, number, events)
        if word and not candidate.stopped:
            self._complete(candidate, number, events)
            _close(candidate, events)
            candidate.stopped = True
            events.append(Stop(reason=read_stop(word, called=candidate.called), raw=word, choice=number, dialect=NAME))

    def _content(self, content: Any, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        if type(content) is not dict:
            raise FieldError("candidates[].content", "an object", content)
        parts, path = content.get("parts"), "candidates[].content.parts"
        if parts is None:
            return
        if len(items(parts, path)) == 1 and (text := only_text(parts[0])) is not None:
            self._words(text, candidate, number, events)  # most events
            return
        if any(map(is_piece, parts)):
            for part in parts:
                self._piece(part, candidate, number, events)
            return
        for block in read_parts(parts, path)[0]:
            self._part(block, candidate, number, events)

    def _piece(self, part: Any, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        """A part, where one of them is a piece of a call."""
        path = "candidates[].content.parts[]"
        if not is_piece(part):
            self._part(read_part(part, path), candidate, number, events)
            return
        if candidate.partial is not None and not candidate.partial.follows(part):
            self._complete(candidate, number, events)
        candidate.partial = candidate.partial or PartialCall()
        if candidate.partial.add(part, path):
            self._complete(candidate, number, events)

    def _complete(self, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        """The call of which more was to come is told as it is."""
        partial, candidate.partial = candidate.partial, None
        if partial is not None and partial.begun:
            self._part(read_part(partial.part(), "candidates[].content.parts[]"), candidate, number, events)

    def _part(self, block: Block, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        if type(block) is Text and not block.extra:
            self._text(block, candidate, number, events)
        elif type(block) is Reasoning and not block.extra and not block.redacted:
            index = self._open(Reasoning, candidate, number, events, block.origin)
            if block.text:
                events.append(ReasoningDelta(index, block.text))
            if block.signature:
                events.append(SignatureDelta(index, block.signature, block.origin))
                _close(candidate, events)
        else:
            candidate.called = candidate.called or type(block) is ToolCall
            _close(candidate, events)
            events += (BlockStart(self._blocks, block, number), BlockStop(self._blocks))
            self._blocks += 1

    def _text(self, block: Text, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        self._words(block.text, candidate, number, events)
        if block.seal:
            index = self._open(Text, candidate, number, events)
            events.append(SignatureDelta(index, block.seal.value, block.seal.origin))

    def _words(self, text: str, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        if text:
            index = candidate.index if candidate.kind is Text else self._open(Text, candidate, number, events)
            candidate.texts.setdefault(index, []).append(text)
            events.append(TextDelta(index, text))

    def _open(self, kind: type[Text | Reasoning], candidate: _Candidate, number: int, events: list[StreamEvent], origin: str = "") -> int:
        """The index of the open block of that kind; another is closed for it."""
        if candidate.kind is not kind:
            _close(candidate, events)
            candidate.index, candidate.kind = self._blocks, kind
            self._blocks += 1
            events.append(BlockStart(candidate.index, Text("") if kind is Text else Reasoning(origin=origin), number))
        return candidate.index

    def _rest(self, rest: Extra, candidate: _Candidate, number: int, events: list[StreamEvent]) -> None:
        """What a candidate says beside its content."""
        logprobs = read_logprobs(rest.get("logprobsResult"))
        if logprobs:
            said = next((one for one in reversed(events) if type(one) is TextDelta), None)
            if said is None:
                said = TextDelta(self._open(Text, candidate, number, events), "")
                events.append(said)
            said.logprobs = logprobs
        blocks = [*candidate.texts]
        for place, citation in read_citations(rest, ["".join(pieces) for pieces in candidate.texts.values()]):
            if citation in candidate.cited:
                continue
            candidate.cited.append(citation)
            index = blocks[place]
            if candidate.kind is not Text or candidate.index != index:
                # Its text is complete: what is said of it belongs to the answer as a whole.
                index = self._open(Text, candidate, number, events)
                citation = Citation(citation.url, citation.title, citation.quote, dialect=NAME, raw=citation.raw)  # noqa: PLW2901
            events.append(CitationDelta(index, citation))
        events.append(OpaqueDelta(-1, NAME, rest, number))


def _close(candidate: _Candidate, events: list[StreamEvent]) -> None:
    if candidate.kind is not None:
        events.append(BlockStop(candidate.index))
        candidate.kind = None
