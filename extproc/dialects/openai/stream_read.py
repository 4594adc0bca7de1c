"""A provider's OpenAI stream: https://platform.openai.com/docs/api-reference/chat-streaming

Chunks say what changed, not what begins and ends; the reader keeps the open block of each choice. A block ends when another begins or
the choice does; but calls may be told side by side, so a call ends when it is whole and something else begins, or with its choice.
Providers differ, so tool calls are told apart by index and by id (some give every call the index 0, or none at all).
"""

import copy
from typing import Any

import msgspec

from extproc.dialects import texts
from extproc.dialects.calls import is_whole
from extproc.dialects.fields import FieldError, obj, take_int, take_str
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Extra,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Refusal,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.dialects.openai import glance
from extproc.dialects.openai.answer import read_stop
from extproc.dialects.openai.logprobs import read_logprobs
from extproc.dialects.openai.parts import CUSTOM, NAME, is_picture, read_annotation, read_picture
from extproc.dialects.openai.reasoning import PART, read_detail, read_signature, take_thought, thought_in
from extproc.dialects.openai.signatures import read_seal, take_seal
from extproc.dialects.openai.tokens import read_usage
from extproc.dialects.openai_errors import read_object
from extproc.dialects.reading import Reading, decoded
from extproc.usage import of_tier

_PER_CHUNK = ("object", "id", "created", "model", "obfuscation")
"""Said in every chunk, or (obfuscation) random on purpose."""


class _Call:
    """A call of which more may come."""

    __slots__ = ("custom", "id", "index", "pieces", "replaced")

    def __init__(self, index: int, identifier: str, *, custom: bool) -> None:
        self.index = index
        self.id = identifier
        self.custom = custom
        """Of a tool that takes a text, which is whole when the choice is."""
        self.pieces: list[str] = []
        self.replaced = False
        """The provider has given its index to another."""

    def is_over(self) -> bool:
        """Nothing more can come of it."""
        if self.replaced:
            return True
        if self.custom or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        self.pieces = ["".join(self.pieces)]
        return is_whole(self.pieces[0])


class _Open:
    """The state of one choice."""

    __slots__ = ("calls", "index", "kind", "last", "messages", "stopped", "thought", "told", "unended")

    def __init__(self) -> None:
        self.index = -1
        self.kind: type | None = None
        """Of the open block, unless it is a call."""
        self.calls: dict[int, _Call] = {}
        """By the provider's index."""
        self.unended: dict[int, _Call] = {}
        """Calls that have not ended, by block, in order."""
        self.last: _Call | None = None
        """The one whose arguments were told last."""
        self.stopped = False
        self.thought = 0
        """Characters of the open reasoning that have been told."""
        self.told = False
        """It comes in deltas: a message beside them, or at the end, repeats them."""
        self.messages: Extra = {}
        """What it says in messages, where it comes in no deltas."""


class StreamReader(Reading):
    """Reads chunks into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Open] = {}
        self._started = False
        self._blocks = 0

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        if event.data.strip() == b"[DONE]":
            return self._finish()
        chunk = decoded(event)
        if (error := chunk.get("error")) or event.event == "error" or ("choices" not in chunk and chunk.get("object") == "error"):
            return self._fail(read_object(error or chunk, 502))  # beside `object` with vLLM
        return self._chunk(chunk)

    def _is_complete(self) -> bool:
        """Some providers forget [DONE]; a choice that stopped is taken for the end, too."""
        return bool(self._choices) and all(choice.stopped for choice in self._choices.values())

    def _finish(self) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for choice in self._choices.values():
            self._close_all(choice, events)
        return events + super()._finish()

    def _chunk(self, chunk: Extra) -> list[StreamEvent]:
        if (words := glance.words(chunk)) is not None and (choice := self._choices.get(words[0])) and choice.kind is Text and choice.told:
            return [TextDelta(choice.index, words[1])]
        events: list[StreamEvent] = []
        choices = chunk.pop("choices", None)
        if not self._started and choices:
            events.append(self._start(chunk))
        for value in choices if type(choices) is list else ():
            self._choice(value, events)
        raw = chunk.get("usage")
        if raw is None and type(groq := chunk.get("x_groq")) is dict:
            raw = groq.get("usage")
        if usage := of_tier(read_usage(raw), chunk.get("service_tier")):
            events.append(Used(usage, raw, NAME))
        if not choices:
            aside = {key: value for key, value in chunk.items() if key not in _PER_CHUNK and key not in ("usage", "service_tier") and value}
            aside.pop("system_fingerprint", None)
            if aside:
                events.append(Aside(NAME, aside))
        return events

    def _start(self, chunk: Extra) -> Start:
        self._started = True
        rest = {key: value for key, value in chunk.items() if key not in ("object", "obfuscation", "usage", "x_groq")}
        return Start(
            id=take_str(rest, "id") or "",
            model=take_str(rest, "model") or "",
            created=take_int(rest, "created") or 0,
            dialect=NAME,
            service_tier=take_str(rest, "service_tier"),
            extra=rest,
        )

    def _choice(self, value: Any, events: list[StreamEvent]) -> None:
        rest = obj(value, "choices[]")
        index = take_int(rest, "index", "choices[].") or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Open()
        delta = rest.pop("delta", None)
        if not choice.told:
            choice.told = type(delta) is dict and any(value for key, value in delta.items() if key != "role")
            if not choice.told and type(rest.get("message")) is dict:
                self.keeps_words = True
                delta = _new(rest.pop("message"), choice, last=choice.stopped or rest.get("finish_reason") is not None)
        if delta is not None:
            logprobs = rest.get("logprobs")
            self._delta(obj(delta, "choices[].delta"), choice, index, {"logprobs": logprobs} if logprobs else None, events)
        word = take_str(rest, "finish_reason", "choices[].")
        if word and not choice.stopped:
            self._close_all(choice, events)
            choice.stopped = True
            matched = rest.get("stop_reason")
            rest.pop("logprobs", None)
            sequence = matched if type(matched) is str else None
            events.append(Stop(reason=read_stop(word, matched), raw=word, sequence=sequence, choice=index, dialect=NAME, extra=rest))

    def _delta(self, delta: Extra, choice: _Open, number: int, logprobs: Extra | None, events: list[StreamEvent]) -> None:
        path = "choices[].delta."
        delta.pop("role", None)
        thought, field = take_thought(delta, path)
        if thought:
            delta.pop("reasoning", None)
            index = self._open(choice, number, Reasoning, events, field)
            events.append(ReasoningDelta(index, thought))
            choice.thought += len(thought)
        if details := delta.pop("reasoning_details", None):
            self._details(details, choice, number, bool(thought), events)
        content = take_content(delta, path)
        if type(content) is list:
            self._parts(content, choice, number, logprobs, events)
        elif content:
            self._text(content, choice, number, logprobs, events)
        if refusal := take_str(delta, "refusal", path):
            events.append(TextDelta(self._open(choice, number, Refusal, events), refusal, logprobs))
        calls = delta.pop("tool_calls", None)
        if type(calls) is list:
            for position, call in enumerate(calls):
                self._call(obj(call, path + "tool_calls[]"), position, choice, number, events)
        elif calls is not None:
            raise FieldError(path + "tool_calls", "a list", calls)
        if delta:
            self._rest(delta, choice, number, events)

    def _text(self, text: str, choice: _Open, number: int, logprobs: Extra | None, events: list[StreamEvent]) -> None:
        likely = read_logprobs(logprobs["logprobs"]) if logprobs else None
        events.append(TextDelta(self._open(choice, number, Text, events), text, logprobs, likely))

    def _parts(self, parts: list[Any], choice: _Open, number: int, logprobs: Extra | None, events: list[StreamEvent]) -> None:
        """Mistral's content: texts, thoughts, and what only it has."""
        for part in parts:
            kind = part.get("type") if type(part) is dict else None
            if kind == "text" and type(part.get("text")) is str:
                self._text(part["text"], choice, number, logprobs, events)
            elif kind == "thinking":
                more = {key: value for key, value in part.items() if key not in ("type", "thinking")}
                index = self._open(choice, number, Reasoning, events, PART)
                events.append(ReasoningDelta(index, thought_in(part.get("thinking")), more or None))
                value, origin = read_signature(part.get("signature"))
                events += [SignatureDelta(index, value, origin)] if value else []
            else:
                events.append(OpaqueDelta(-1, NAME, {"content": [part]}, number))

    def _made(self, delta: Extra, choice: _Open, number: int, events: list[StreamEvent]) -> None:
        """Pictures come whole."""
        images = delta.get("images")
        if type(images) is list and images and all(map(is_picture, images)):
            del delta["images"]
            for image in images:
                self._close(choice, events)
                events += (BlockStart(self._blocks, read_picture(image), number), BlockStop(self._blocks))
                self._blocks += 1

    def _rest(self, delta: Extra, choice: _Open, number: int, events: list[StreamEvent]) -> None:
        self._made(delta, choice, number, events)
        seal = read_seal(delta.get("extra_content"))
        if seal and choice.kind is Text:
            # For other dialects; in this one the field itself says more.
            events.append(SignatureDelta(choice.index, seal.value, seal.origin))
        annotations = delta.pop("annotations", None)
        if type(annotations) is list and annotations:
            index = choice.index if choice.kind is Text else self._open(choice, number, Text, events)
            events += [CitationDelta(index, read_annotation(annotation)) for annotation in annotations]
        rest = {key: value for key, value in delta.items() if value not in (None, "", [], {})}
        if rest:
            events.append(OpaqueDelta(-1, NAME, rest, number))

    def _details(self, details: Any, choice: _Open, number: int, told: bool, events: list[StreamEvent]) -> None:
        """OpenRouter's entries: the text is told in `reasoning` too; signatures and encrypted data only here."""
        for entry in details if type(details) is list else ():
            if type(entry) is not dict:
                continue
            detail = read_detail(entry)
            # Whoever signs at the end may tell the whole of it once more.
            again = choice.kind is Reasoning and detail.signature and choice.thought == len(detail.text)
            if detail.text and not told and not again:
                choice.thought += len(detail.text)
                events.append(ReasoningDelta(self._open(choice, number, Reasoning, events), detail.text))
            if detail.signature and choice.kind is Reasoning:
                events.append(SignatureDelta(choice.index, detail.signature, detail.origin))
            elif detail.redacted or detail.signature:
                detail.text = ""
                self._close(choice, events)
                events += (BlockStart(self._blocks, detail, number), BlockStop(self._blocks))
                self._blocks += 1

    def _open(
        self,
        choice: _Open,
        number: int,
        kind: type[Text] | type[Refusal] | type[Reasoning],
        events: list[StreamEvent],
        field: str = "",
    ) -> int:
        """The index of the open block of that kind; another is closed for it."""
        if choice.kind is not kind:
            block = Reasoning(field=field) if kind is Reasoning else Refusal("") if kind is Refusal else Text("")
            self._begin(block, kind, choice, number, events)
        return choice.index

    def _begin(self, block: Block, kind: type | None, choice: _Open, number: int, events: list[StreamEvent]) -> None:
        self._close(choice, events)
        choice.index, choice.kind, choice.thought = self._blocks, kind, 0
        self._blocks += 1
        events.append(BlockStart(choice.index, block, number))

    def _close(self, choice: _Open, events: list[StreamEvent]) -> None:
        """Ends the open block, and the calls that are over, in their order."""
        if choice.kind is not None:
            events.append(BlockStop(choice.index))
            choice.kind = None
        self._end_calls(choice, events)

    def _end_calls(self, choice: _Open, events: list[StreamEvent]) -> None:
        while choice.unended and (call := next(iter(choice.unended.values()))).is_over():
            self._end(call, choice, events)

    def _close_all(self, choice: _Open, events: list[StreamEvent]) -> None:
        self._close(choice, events)
        for call in [*choice.unended.values()]:
            self._end(call, choice, events)

    def _end(self, call: _Call, choice: _Open, events: list[StreamEvent]) -> None:
        del choice.unended[call.index]
        call.pieces = []
        if call.custom:
            events.append(ArgumentsDelta(call.index, texts.CLOSING))
        events.append(BlockStop(call.index))

    def _begin_call(self, block: ToolCall, slot: int, choice: _Open, number: int, events: list[StreamEvent]) -> _Call:
        if (before := choice.calls.get(slot)) is not None:
            before.replaced = True
        self._begin(block, None, choice, number, events)
        call = choice.calls[slot] = choice.unended[choice.index] = _Call(choice.index, block.id, custom=block.custom)
        return call

    def _call(self, call: Extra, position: int, choice: _Open, number: int, events: list[StreamEvent]) -> None:
        path = "choices[].delta.tool_calls[]."
        slot, identifier = take_int(call, "index", path), take_str(call, "id", path) or ""
        if CUSTOM in call:
            self._custom(call, position if slot is None else slot, identifier, choice, number, events)
            return
        function = obj(call.pop("function", None) or {}, path + "function")
        name, arguments = take_str(function, "name", path + "function.") or "", _arguments(function)
        call.pop("type", None)
        slot = position if slot is None else slot
        known = choice.calls.get(slot)
        if known is None or (name and identifier and identifier != known.id):
            if known is None and not name and not identifier and choice.calls:
                known = next(reversed(choice.calls.values()))  # no index: it goes on with the last one
            else:
                seal = take_seal(call)
                known = self._begin_call(ToolCall(identifier, name, "", seal=seal, extra=call), slot, choice, number, events)
            choice.calls[slot] = known
        if not arguments:
            return
        if choice.last is not known:
            choice.last = known
            self._end_calls(choice, events)
        if known.index in choice.unended:
            known.pieces.append(arguments)
        elif not arguments.strip():
            return  # after its end
        events.append(ArgumentsDelta(known.index, arguments))

    def _custom(self, call: Extra, slot: int, identifier: str, choice: _Open, number: int, events: list[StreamEvent]) -> None:
        """A piece of a call of a tool that takes a text. Its arguments are complete when the choice is."""
        path = "choices[].delta.tool_calls[].custom"
        inner = obj(call.pop(CUSTOM), path)
        name, text = take_str(inner, "name", path + ".") or "", take_str(inner, "input", path + ".")
        call.pop("type", None)
        known = choice.calls.get(slot)
        if known is None or (name and identifier and identifier != known.id):
            seal = take_seal(call)
            known = self._begin_call(ToolCall(identifier, name, "", custom=True, seal=seal, extra=call), slot, choice, number, events)
            events.append(ArgumentsDelta(known.index, texts.OPENING))
        if text:
            if not known.custom or known.index not in choice.unended:
                raise FieldError(path, "the index of an open call", slot)
            events.append(ArgumentsDelta(known.index, texts.piece(text)))


def _new(message: Extra, choice: _Open, *, last: bool) -> Extra:
    """What others say in deltas. The last message may be all that was said in those before once more, which is nothing new then."""
    given = {key: value for key, value in message.items() if value and key != "role"}
    if last and given == choice.messages:
        return {}
    for key, value in given.items():
        before = choice.messages.get(key)
        choice.messages[key] = before + value if type(before) is type(value) is str else copy.deepcopy(value)
    return message


def take_content(delta: Extra, path: str) -> Any:
    """`content`: a string, or with a few providers (Mistral) a list of parts."""
    content = delta.get("content")
    if type(content) is list:
        del delta["content"]
        return content
    return take_str(delta, "content", path)


def _arguments(function: Extra) -> str:
    """The arguments; Ollama and a few others send an object."""
    given = function.pop("arguments", None)
    if given is None or type(given) is str:
        return given or ""
    return msgspec.json.encode(given).decode()
