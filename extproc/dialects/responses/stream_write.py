"""A stream for clients of the Responses API: https://platform.openai.com/docs/api-reference/responses-streaming

Each part of an item is added, told and done, as items are (`stream_output`); the last event repeats the whole response. Texts and reasoning
begin with their first words, so that nothing empty is shown. A call may still get arguments after its end (providers interleave them), so
it is done once its arguments are JSON, or else at the end of all.

Of a stream of this dialect, items and the response are told in the provider's own words (`OpaqueDelta`, `extra`).
"""

from extproc.dialects import texts
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Error,
    Extra,
    Finish,
    OpaqueDelta,
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
    kind_of,
)
from extproc.dialects.responses.answer import Ids, drop, frame, message, write_item, write_status
from extproc.dialects.responses.items import ITEM
from extproc.dialects.responses.parts import NAME, write_annotation, write_logprobs
from extproc.dialects.responses.reasoning import write_reasoning
from extproc.dialects.responses.stream_items import FIELD, PART
from extproc.dialects.responses.stream_output import Open, Output
from extproc.dialects.responses.tokens import write_usage
from extproc.dialects.responses.tools import asked_texts
from extproc.usage import Usage

_PING = b": ping\n\n"


class StreamWriter:
    """Writes hub events as the Responses API's."""

    keeps_words = True  # the last event repeats them

    def __init__(self) -> None:
        self.dropped: list[str] = []
        """What could not be expressed."""
        self._output = Output()
        self._started = False
        self._ended = False
        self._response: Extra = {}
        self._blocks: dict[int, Open] = {}
        self._refused = False
        self._taking: list[str] = []
        """The client's tools that take a text."""
        self._stop: Stop | None = None
        self._usage: Usage | None = None

    def write(self, event: StreamEvent) -> bytes:
        """The event; empty if it has no counterpart, and after the end."""
        if self._ended:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ArgumentsDelta():
                return self._arguments(self._blocks.get(event.index), event.text)
            case ReasoningDelta():
                return self._reason(self._blocks.get(event.index), event.text)
            case Used():
                self._usage = event.usage
            case SignatureDelta():
                return self._sign(event)
            case CitationDelta():
                return self._cite(self._blocks.get(event.index), event.citation)
            case Start():
                return self._start(event)
            case BlockStart():
                return self._block(event)
            case BlockStop():
                given = self._blocks.get(event.index)
                return self._end_block(given) if given else b""
            case Stop() if not event.choice:
                self._stop = event
            case Ping():
                return _PING
            case OpaqueDelta() | Aside():
                return self._opaque(event)
            case Error():
                return self._fail(event)
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """What is still open is ended, and the response is told as a whole."""
        if self._ended:
            return b""
        begun = self._begin()
        ended = b"".join([self._end_block(given, last=True) for given in self._blocks.values()])
        stop = self._stop or Stop(reason=StopReason.END)
        self._ended = True
        if self._output.own and "response" in stop.extra:
            return begun + ended + self._output.event(stop.extra.get("type", "response.completed"), {"response": stop.extra["response"]})
        status = write_status(stop.reason, refused=self._refused)
        ended += self._output.end_message(status["status"])
        self._response |= {**status, "output": [item.body for item in self._output.items]}
        if self._usage:
            self._response["usage"] = write_usage(self._usage)
        return begun + ended + self._output.event(f"response.{status['status']}", {"response": self._response})

    def _fail(self, event: Error) -> bytes:
        self._ended = True
        fault, told = event.fault, self._output.error(event)
        if not self._started:
            return told
        code = "rate_limit_exceeded" if fault.status == 429 else "server_error" if fault.status >= 500 else "invalid_prompt"
        error = {"code": code, "message": fault.message}
        output = [item.body for item in self._output.items if item.done]
        response = {**self._response, "status": "failed", "error": error, "output": output}
        return told + self._output.event("response.failed", {"response": response})

    # The response.

    def _begin(self) -> bytes:
        return b"" if self._started else self._start(Start(id="", model=""))

    def _start(self, event: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._usage = event.usage
        self._output.own = event.dialect == NAME and "response" in event.extra
        if self._output.own:
            self._response = event.extra["response"].copy()
            return self._output.event(event.extra.get("type", "response.created"), {"response": event.extra["response"]})
        if event.id:
            self._output.ids = Ids(event.id)
        self._taking = asked_texts(event.asked)
        self._response = frame(self._output.ids.response, event.model, event.created, event.service_tier, event.asked)
        return self._output.event("response.created", {"response": self._response}) + self._output.event(
            "response.in_progress", {"response": self._response}
        )

    # Blocks.

    def _block(self, event: BlockStart) -> bytes:
        if event.choice:
            drop(self.dropped, ["choices[1:]"], "")
            return b""
        begun = self._begin()
        block = event.block
        given = Open(block)
        match block:
            case Text() | Refusal():
                self._refused = self._refused or type(block) is Refusal
                begun += self._show_part(given, block) if self._output.own else b""
                self._blocks[event.index] = given
                given.waiting = [*block.citations] if type(block) is Text else []
                return begun + self._text(TextDelta(event.index, block.text))
            case ToolCall():
                self._blocks[event.index] = given
                if block.custom or block.name in self._taking:
                    given.unwrapping = texts.Unwrapping()
                return begun + self._show(given, "fc") + self._arguments(given, block.arguments)
            case Reasoning():
                self._blocks[event.index] = given
                begun += self._show(given, "rs") if self._output.own or block.redacted else b""
                return begun + self._reason(given, block.text)
        return begun + self._whole(event.index, given)

    def _whole(self, index: int, given: Open) -> bytes:
        """An item that comes in one piece."""
        body = write_item(given.block, self._output.ids, self._taking)
        if body is None:
            drop(self.dropped, [kind_of(given.block)], "output[].")
            return b""
        self._blocks[index] = given
        given.item, added = self._output.add(body)
        return added if self._output.own else added + self._output.done(given.item)

    def _show(self, given: Open, prefix: str) -> bytes:
        """A call, or reasoning, as it begins."""
        block = given.block
        if self._output.own and ITEM in block.local:
            body = {**block.local[ITEM]}
        elif type(block) is ToolCall and given.unwrapping:
            call = {"call_id": self._output.ids.call(block.id), "name": block.name, "input": ""}
            body = {"id": self._output.ids.item("ctc"), "type": "custom_tool_call", "status": "in_progress", **call}
        elif type(block) is ToolCall:
            call = {"call_id": self._output.ids.call(block.id), "name": block.name, "arguments": ""}
            body = {"id": self._output.ids.item(prefix), "type": "function_call", "status": "in_progress", **call}
        else:
            body = {"id": self._output.ids.item(prefix), "type": "reasoning", "summary": []}
        given.item, added = self._output.add(body)
        return added

    def _show_part(self, given: Open, block: Text | Refusal) -> bytes:
        """A part of a message as it begins, and the message before it."""
        added = b""
        if self._output.own and ITEM in block.local:
            item, added = self._output.add({**block.local[ITEM], "content": []})
        elif self._output.message is not None:
            item = self._output.message
        else:
            item, added = self._output.add(message(self._output.ids.item("msg"), [], "in_progress"))
        given.item = self._output.message = item
        given.number = len(item.body["content"])
        item.body["content"].append(part := _part(block, "", [], []))
        return added + self._output.part_event("response.content_part.added", given, {"part": part})

    def _text(self, event: TextDelta) -> bytes:
        given = self._blocks.get(event.index)
        if given is None or not event.text:
            return b""
        block = given.block
        if type(block) is not Text and type(block) is not Refusal:
            return b""
        shown = self._show_part(given, block) if given.item is None else b""
        given.pieces.append(event.text)
        if type(block) is Refusal:
            return shown + self._output.part_event("response.refusal.delta", given, {"delta": event.text})
        told = {"delta": event.text, "logprobs": write_logprobs(event.logprobs) if event.logprobs else []}
        if event.logprobs:
            given.logprobs += event.logprobs
        return shown + self._output.part_event("response.output_text.delta", given, told)

    def _arguments(self, given: Open | None, text: str) -> bytes:
        if given is None or not text or type(given.block) is not ToolCall or given.item is None or given.item.done:
            return b""
        given.pieces.append(text)
        if given.unwrapping:
            told = self._input(given, given.unwrapping.feed(text))
        else:
            told = self._output.item_event("response.function_call_arguments.delta", given, {"delta": text})
        return told + self._end_call(given) if given.stopped and given.is_json() else told

    def _input(self, given: Open, text: str) -> bytes:
        """More of the text that a tool is called with."""
        return self._output.item_event("response.custom_tool_call_input.delta", given, {"delta": text}) if text else b""

    def _reason(self, given: Open | None, text: str) -> bytes:
        if given is None or not text or type(given.block) is not Reasoning:
            return b""
        if given.skip:
            given.skip = False
            return b""
        shown = self._show(given, "rs") if given.item is None else b""
        in_summary = not self._in_full(given)
        number = {"summary_index" if in_summary else "content_index": given.number}
        if not given.pieces:
            kind, part = (
                ("response.reasoning_summary_part.added", "summary_text")
                if in_summary
                else ("response.content_part.added", "reasoning_text")
            )
            shown += self._output.item_event(kind, given, {**number, "part": {"type": part, "text": ""}})
        given.pieces.append(text)
        kind = "response.reasoning_summary_text.delta" if in_summary else "response.reasoning_text.delta"
        return shown + self._output.item_event(kind, given, {**number, "delta": text})

    def _in_full(self, given: Open) -> bool:
        """Whether it is the reasoning itself, which some providers tell, and no summary of it."""
        return self._output.own and given.block.local.get(FIELD) == "content"

    def _sign(self, event: SignatureDelta) -> bytes:
        given = self._blocks.get(event.index)
        if given is None:
            return b""
        block = given.block
        if type(block) is Reasoning:
            block.signature += event.signature
            block.origin = event.origin or block.origin
            return b""
        before = block.seal.value if block.seal else ""
        block.seal = Seal(before + event.signature, event.origin)
        return self._output.seal(block.seal) if given.stopped and given.item and given.item.done else b""

    def _cite(self, given: Open | None, citation: Citation) -> bytes:
        if given is None or type(given.block) is not Text:
            return b""
        if given.item is None or not (citation.end or citation.dialect == NAME):
            given.waiting.append(citation)
            return b""
        return self._annotate(given, citation, 0)

    def _annotate(self, given: Open, citation: Citation, length: int) -> bytes:
        annotation = write_annotation(citation, length)
        if annotation is None:
            drop(self.dropped, ["annotations"], "output[].content[].")
            return b""
        given.annotations.append(annotation)
        told = {"annotation_index": len(given.annotations) - 1, "annotation": annotation}
        return self._output.part_event("response.output_text.annotation.added", given, told)

    # Ends.

    def _end_block(self, given: Open, *, last: bool = False) -> bytes:
        """A block's end. `last`: nothing more can come to it."""
        again, given.stopped = given.stopped, True
        block = given.block
        if type(block) is ToolCall:
            due = given.item is not None and not given.item.done
            return self._end_call(given) if due and (last or given.is_json()) else b""
        if again:
            return b""
        if isinstance(block, Text | Refusal):
            return self._end_part(given, block) if given.item else b""
        return self._end_reasoning(given, block) if type(block) is Reasoning else b""

    def _end_part(self, given: Open, block: Text | Refusal) -> bytes:
        text = "".join(given.pieces)
        cited = b"".join([self._annotate(given, citation, len(text)) for citation in given.waiting])
        part = _part(block, text, given.annotations, write_logprobs(given.logprobs))
        if given.item:
            given.item.body["content"][given.number] = part
        if type(block) is Refusal:
            told = self._output.part_event("response.refusal.done", given, {"refusal": text})
        else:
            told = self._output.part_event("response.output_text.done", given, {"text": text, "logprobs": part["logprobs"]})
        done = cited + told + self._output.part_event("response.content_part.done", given, {"part": part})
        return done + self._output.seal(block.seal) if block.seal else done

    def _end_call(self, given: Open) -> bytes:
        item, block = given.item, given.block
        if item is None:
            return b""
        arguments = "".join(given.pieces) or "{}"
        if given.unwrapping:
            text = texts.text(arguments) if given.pieces else ""
            told = self._input(given, given.unwrapping.end())
            told += self._output.item_event("response.custom_tool_call_input.done", given, {"input": text})
            item.body = {**item.body, "input": text, "status": "completed"}
        else:
            told = b"" if given.pieces else self._output.item_event("response.function_call_arguments.delta", given, {"delta": "{}"})
            told += self._output.item_event("response.function_call_arguments.done", given, {"arguments": arguments})
            item.body = {**item.body, "arguments": arguments, "status": "completed"}
        if not self._output.own:
            told += self._output.done(item)
        return told + self._output.seal(block.seal) if block.seal else told

    def _end_reasoning(self, given: Open, block: Reasoning) -> bytes:
        block.text = "".join(given.pieces)
        shown = self._show(given, "rs") if given.item is None and block.signature else b""
        if given.item is None:
            return b""
        told = shown + self._end_paragraph(given)
        if self._output.own:
            return told
        given.item.body = {"id": given.item.body["id"], **write_reasoning(block)}
        return told + self._output.done(given.item)

    def _end_paragraph(self, given: Open) -> bytes:
        """The end of a part of reasoning."""
        if not given.pieces:
            return b""
        text = "".join(given.pieces)
        given.pieces = []
        if self._in_full(given):
            told = self._output.part_event("response.reasoning_text.done", given, {"text": text})
            return told + self._output.part_event("response.content_part.done", given, {"part": {"type": "reasoning_text", "text": text}})
        number = {"summary_index": given.number}
        told = self._output.item_event("response.reasoning_summary_text.done", given, {**number, "text": text})
        part = {"type": "summary_text", "text": text}
        return told + self._output.item_event("response.reasoning_summary_part.done", given, {**number, "part": part})

    def _opaque(self, event: OpaqueDelta | Aside) -> bytes:
        if event.dialect != NAME or not self._output.own:
            return b""
        if type(event) is Aside:
            kind = event.value.get("type")
            rest = {key: value for key, value in event.value.items() if key not in ("type", "sequence_number")}
            return self._output.event(kind, rest) if type(kind) is str else b""
        given = self._blocks.get(event.index) if type(event) is OpaqueDelta else None
        if given is None or given.item is None:
            return b""
        if PART in event.value:
            told = self._end_paragraph(given)
            given.number, given.skip = event.value[PART], True
            return told
        given.item.body = event.value[ITEM]
        return self._output.done(given.item)


def _part(block: Text | Refusal, text: str, annotations: list[Extra], logprobs: list[Extra]) -> Extra:
    if type(block) is Refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}
