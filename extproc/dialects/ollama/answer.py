"""Ollama's whole answers, of /api/chat (`message`) and /api/generate (`response`).

https://github.com/ollama/ollama/blob/main/docs/api.md#response-10, https://github.com/ollama/ollama/blob/main/api/types.go
"""

import hashlib
from typing import Any, NamedTuple

from extproc.dialects.fields import obj, take_str, tool_id
from extproc.dialects.hub import Answer, Block, Choice, Extra, Image, Reasoning, Refusal, StopReason, Text, ToolCall, kind_of
from extproc.dialects.ollama.parts import ASKED, NAME, read_assistant, read_logprobs, seconds, timestamp, write_call, write_logprobs
from extproc.dialects.ollama.request_restore import own_content
from extproc.dialects.ollama.watch import read_usage, write_usage

_COUNTS = ("prompt_eval_count", "eval_count")
_ID = 64


class Form(NamedTuple):
    """How answers of one endpoint hold what the model said."""

    text: str
    """The field of the text."""
    message: str
    """The object that it stands in, with the rest of what was said; empty: it is the answer itself."""

    def take(self, rest: Extra) -> tuple[Extra, str]:
        """What was said, and the path to it. Raises `FieldError` if there is nothing of the kind."""
        if self.message:
            return obj(rest.pop(self.message, None), self.message), self.message + "."
        take_str(dict(rest), self.text)
        return {key: rest.pop(key) for key in (self.text, "thinking", "tool_calls", "images") if key in rest}, ""

    def put(self, said: Extra) -> Extra:
        """The other way."""
        said = {self.text: "", **said}
        return {self.message: {"role": "assistant", **said}} if self.message else said


CHAT = Form("content", "message")
GENERATE = Form("response", "")


def form_of(asked: Extra) -> Form:
    """The form of the answer to what was asked."""
    return GENERATE if asked == ASKED else CHAT


def read_stop(word: str, *, called: bool) -> StopReason:
    """What a `done_reason` means. Ollama says "stop" after a tool call as well."""
    if word == "length":
        return StopReason.LENGTH
    return StopReason.TOOL if called else StopReason.END


def write_stop(reason: StopReason) -> str:
    """The `done_reason`."""
    return "length" if reason in (StopReason.LENGTH, StopReason.CONTEXT) else "stop"


def answer_id(rest: Extra) -> str:
    """An id, which Ollama's answers have not: other dialects make the ids of calls of it, which must differ from one answer to another."""
    said = f"{rest.get('created_at')} {rest.get('model')}"
    return "ollama-" + hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def read_answer(body: Extra, form: Form) -> Answer:
    """An answer. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    if type(rest.get("error")) is str:
        raise ValueError(f"error: {rest['error'][:200]}")
    message, path = form.take(rest)
    message.pop("role", None)
    blocks = read_assistant(message, path, form.text)
    usage, identifier = read_usage(rest), answer_id(rest)
    raw = {key: rest.pop(key) for key in _COUNTS if key in rest} if usage else None
    text = next((block for block in blocks if type(block) is Text), None)
    if text is not None:
        text.logprobs = read_logprobs(rest.get("logprobs"))
    word = take_str(rest, "done_reason")
    called = any(type(block) is ToolCall for block in blocks)
    choice = Choice(blocks=blocks, stop=read_stop(word or "", called=called), stop_raw=word, message_extra=message)
    return Answer(
        dialect=NAME,
        id=identifier,
        model=take_str(rest, "model") or "",
        created=seconds(rest.get("created_at")),
        choices=[choice],
        usage=usage,
        usage_raw=raw,
        extra=rest,
    )


def write_answer(answer: Answer) -> Extra:
    """An answer for a client."""
    form = form_of(answer.asked)
    choice = answer.choices[0]
    if answer.dialect == NAME:
        said = {**choice.message_extra, **own_content(choice.blocks, form.text)}
        word = {} if choice.stop_raw is None else {"done_reason": choice.stop_raw}
        model = {"model": answer.model} if answer.model else {}
        return {**answer.extra, **model, **form.put(said), **word, **(answer.usage_raw or {})}
    if len(answer.choices) > 1:
        answer.dropped.append("choices[1:]")
    said, logprobs = _said(choice.blocks, answer, form)
    return {
        "model": answer.model,
        "created_at": timestamp(answer.created),
        **form.put(said),
        "done": True,
        "done_reason": write_stop(choice.stop or StopReason.END),
        **({"logprobs": logprobs} if logprobs else {}),
        **write_usage(answer.usage),
    }


def _said(blocks: list[Block], answer: Answer, form: Form) -> tuple[Extra, list[Any]]:
    said: Extra = {form.text: ""}
    logprobs: list[Any] = []
    for i, block in enumerate(blocks):
        if type(block) is ToolCall:
            calls: list[Any] = said.setdefault("tool_calls", [])
            calls.append(write_call(block.name, block.arguments, call_id(block.id, answer.id, i), len(calls)))
            continue
        match block:
            case Text() | Refusal():
                said[form.text] += block.text
                if type(block) is Text:
                    logprobs += write_logprobs(block.logprobs or [])
                    if block.citations:
                        answer.drop("blocks[].citations")
            case Reasoning() if not block.redacted:
                said["thinking"] = said.get("thinking", "") + block.text
            case Image() if block.data:
                said.setdefault("images", []).append(block.data)
            case _:
                answer.drop(f"blocks[].{kind_of(block)}")
    return said, logprobs


def call_id(given: str, answer: str, index: int) -> str:
    """A tool call's id; one is made of the answer's where the provider gave none, so that no two answers share it."""
    return tool_id(given or f"call_{answer}_{index}", _ID)
