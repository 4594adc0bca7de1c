"""A provider's Ollama stream: a JSON object a line, each a piece of the answer, the last one `done`."""

from extproc.dialects.fields import FieldError, take_str
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    Aside,
    Block,
    BlockStart,
    BlockStop,
    Extra,
    Finish,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Start,
    Stop,
    StreamEvent,
    Text,
    TextDelta,
    Used,
)
from extproc.dialects.ollama.answer import CHAT, answer_id, read_stop
from extproc.dialects.ollama.errors import read_object
from extproc.dialects.ollama.parts import NAME, read_call, read_content, read_logprobs, read_thinking, reasoning, seconds
from extproc.dialects.ollama.watch import read_usage
from extproc.dialects.reading import Reading, decoded

_EACH = ("model", "created_at", "done")
"""Said in every line."""
_USUAL = frozenset({*_EACH, CHAT.message})


def glance(rest: Extra) -> str | None:
    """More of a text, out of a line that says nothing beside: see `plain`."""
    message = rest.get(CHAT.message)
    if type(message) is not dict or rest.get("done") or not rest.keys() <= _USUAL or len(message) != (2 if "role" in message else 1):
        return None
    text = message.get(CHAT.text)
    return text if type(text) is str and text else None


class StreamReader(Reading):
    """Reads lines of /api/chat into hub events: the only place where providers are asked."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._blocks = 0
        self._calls = 0
        self._kind: type | None = None

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        rest = decoded(event)
        if error := rest.get("error"):
            return self._fail(read_object(error, 502))
        return self._piece(rest)

    def _piece(self, rest: Extra) -> list[StreamEvent]:
        if self._kind is Text and (text := glance(rest)) is not None:
            return [TextDelta(self._blocks - 1, text)]
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            model = rest.get("model")
            created = rest.get("created_at")
            extra = {"created_at": created} if type(created) is str else {}
            named = model if type(model) is str else ""
            events.append(Start(id=answer_id(rest), model=named, created=seconds(created), dialect=NAME, extra=extra))
        if rest.get(CHAT.message) is not None:
            message, path = CHAT.take(rest)
            self._message(message, path, rest, events)
        if rest.get("done"):
            return events + self._done(rest)
        aside = {key: value for key, value in rest.items() if key not in _EACH and value is not None}
        if aside:
            events.append(Aside(NAME, aside))
        return events

    def _message(self, message: Extra, path: str, rest: Extra, events: list[StreamEvent]) -> None:
        message.pop("role", None)
        for block in read_thinking(message, path):
            if type(block) is Reasoning:
                events.append(ReasoningDelta(self._open(reasoning(""), events), block.text))
        raw = rest.pop("logprobs", None)
        for block in read_content(message, path):
            if type(block) is Text:
                logprobs, extra = read_logprobs(raw), {"logprobs": raw} if raw else None
                events.append(TextDelta(self._open(Text(""), events), block.text, extra, logprobs))
                raw = None
            else:
                self._whole(block, events)
        if raw:  # the server holds the text back, for it may turn out to be a call
            events.append(OpaqueDelta(-1, NAME, {"logprobs": raw}))
        calls = message.pop("tool_calls", None)
        if calls is not None and type(calls) is not list:
            raise FieldError(path + "tool_calls", "a list", calls)
        for call in calls or ():
            self._whole(read_call(call, path + "tool_calls[]", self._calls), events)
            self._calls += 1
        more = {key: value for key, value in message.items() if value not in (None, "", [])}
        if more:
            events.append(OpaqueDelta(-1, NAME, {"message": more}))

    def _open(self, block: Text | Reasoning, events: list[StreamEvent]) -> int:
        """The index of the open block of that kind; another is closed for it."""
        if self._kind is not type(block):
            self._close(events)
            self._kind = type(block)
            events.append(BlockStart(self._blocks, block))
            self._blocks += 1
        return self._blocks - 1

    def _whole(self, block: Block, events: list[StreamEvent]) -> None:
        self._close(events)
        events += (BlockStart(self._blocks, block), BlockStop(self._blocks))
        self._blocks += 1

    def _close(self, events: list[StreamEvent]) -> None:
        if self._kind is not None:
            events.append(BlockStop(self._blocks - 1))
            self._kind = None

    def _done(self, rest: Extra) -> list[StreamEvent]:
        self._ended = True
        events: list[StreamEvent] = []
        self._close(events)
        word = take_str(rest, "done_reason")
        usage = read_usage(rest)
        for key in _EACH:
            rest.pop(key, None)
        events.append(Stop(reason=read_stop(word or "", called=self._calls > 0), raw=word, dialect=NAME, extra=rest))
        if usage:
            events.append(Used(usage, None, NAME))
        return [*events, Finish()]
