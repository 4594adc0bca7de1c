"""Whole answers of the Responses API: https://platform.openai.com/docs/api-reference/responses/object"""

import time
import uuid
from collections.abc import Iterable
from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import items, obj, take_str, tool_id
from extproc.dialects.hub import (
    Answer,
    Block,
    Choice,
    Extra,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Seal,
    StopReason,
    Text,
    ToolCall,
    kind_of,
)
from extproc.dialects.responses import usual
from extproc.dialects.responses.items import ITEM, read_output, restored
from extproc.dialects.responses.parts import NAME, write_annotation, write_logprobs
from extproc.dialects.responses.reasoning import write_reasoning, write_seal
from extproc.dialects.responses.tokens import read_usage, write_usage
from extproc.dialects.responses.tools import asked_texts
from extproc.usage import of_tier

_TIERS = ("auto", "default", "flex", "scale", "priority")

_LIMITS = (StopReason.LENGTH, StopReason.CONTEXT)
_FILTERS = (StopReason.FILTER, StopReason.REFUSAL)

_ID = 40
"""Characters of a response's id that the ids of its items repeat; these have at most 64 in all."""

_CALL_ID = 64


class Ids:
    """Ids for what has none: the provider's dialect has no items. Those of two answers are never the same."""

    def __init__(self, given: str) -> None:
        base = tool_id(given.removeprefix("resp_"), _ID) if given else uuid.uuid4().hex
        self.response = given if given.startswith("resp_") else f"resp_{base}"
        self._base = base
        self._made = 0

    def item(self, prefix: str) -> str:
        """A new one: `msg`, `fc`, `rs`, ... and an underscore begin it."""
        self._made += 1
        return f"{prefix}_{self._base}_{self._made}"

    def call(self, given: str) -> str:
        """A call's: the provider's, if it gave one."""
        return tool_id(given, _CALL_ID) if given else self.item("call")


def read_answer(body: Extra) -> Answer:
    """A response. Raises `ValueError` if it is none, or one that failed."""
    rest = obj(body, "$")
    if rest.get("status") == "failed":
        error = rest.get("error")
        why = error.get("message") if type(error) is dict else error
        raise ValueError(f"the response failed: {str(why or 'it says not why')[:500]}")
    blocks = read_blocks(rest.pop("output", None), rest.get("tools"))
    created, tier = rest.get("created_at"), rest.get("service_tier")
    usage = of_tier(read_usage(rest.get("usage")), tier)
    stop = read_stop(rest, called=any(type(block) is ToolCall for block in blocks))
    return Answer(
        dialect=NAME,
        id=take_str(rest, "id") or "",
        model=take_str(rest, "model") or "",
        created=int(created) if type(created) is int or type(created) is float else 0,
        choices=[Choice(blocks=blocks, stop=stop, stop_raw=_word(rest))],
        usage=usage,
        usage_raw=rest.pop("usage") if usage else None,
        service_tier=tier if type(tier) is str else None,
        extra=rest,
    )


def read_blocks(output: Any, tools: Any) -> list[Block]:
    """Blocks of all items of an answer. `tools`: those that it repeats."""
    blocks: list[Block] = []
    for i, value in enumerate(items(output, "output")):
        if (block := usual.said(value) or usual.call(value)) is not None:
            block.local = {ITEM: value}
            blocks.append(block)
            continue
        found = read_output(value, f"output[{i}]", tools)
        if type(found) is list:
            blocks += found
        elif blocks and type(found) is Seal:
            blocks[-1].seal = found
    return blocks


def read_stop(response: Extra, *, called: bool) -> StopReason | None:
    """Why a response ended; None while it goes on, in the background."""
    match response.get("status"):
        case "queued" | "in_progress":
            return None
        case "incomplete":
            return StopReason.FILTER if _word(response) == "content_filter" else StopReason.LENGTH
    return StopReason.TOOL if called else StopReason.END


def _word(response: Extra) -> str | None:
    details = response.get("incomplete_details")
    word = details.get("reason") if type(details) is dict else None
    return word if type(word) is str else None


def write_status(reason: StopReason, *, refused: bool) -> Extra:
    """`status` and `incomplete_details`. A refusal in words is complete."""
    if reason in _LIMITS:
        return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if reason in _FILTERS and not refused:
        return {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return {"status": "completed", "incomplete_details": None}


_UNSAID = dict.fromkeys(
    ("error", "incomplete_details", "instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "usage")
)


def frame(identifier: str, model: str, created: int, tier: str | None, asked: Extra) -> Extra:
    """A response that has only begun. `asked`: what it repeats of its request."""
    body: Extra = {
        "id": identifier,
        "object": "response",
        "created_at": created or int(time.time()),
        "status": "in_progress",
        **_UNSAID,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "store": False,
    }
    body |= asked
    if tier in _TIERS:
        body["service_tier"] = tier
    return body


def write_answer(answer: Answer) -> Extra:
    """A response for a client."""
    choice = answer.choices[0]
    if answer.dialect == NAME:
        body: Extra = {**answer.extra, "id": answer.id, "model": answer.model, "output": restored(choice.blocks)}
        return body if answer.usage_raw is None else body | {"usage": answer.usage_raw}
    if len(answer.choices) > 1:
        answer.dropped.append("choices[1:]")
    ids = Ids(answer.id)
    body = frame(ids.response, answer.model, answer.created, answer.service_tier, answer.asked)
    refused = any(type(block) is Refusal for block in choice.blocks)
    body |= write_status(choice.stop or StopReason.END, refused=refused)
    body["output"] = output = _output(choice.blocks, ids, answer)
    if body["status"] == "incomplete" and output and "status" in output[-1]:
        output[-1]["status"] = "incomplete"
    if answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    return body


def _output(blocks: list[Block], ids: Ids, answer: Answer) -> list[Extra]:
    """Items of blocks: texts that follow each other are parts of one message."""
    output: list[Extra] = []
    parts: list[Extra] = []
    taking = asked_texts(answer.asked)
    for block in blocks:
        if type(block) is Text or type(block) is Refusal:
            if not block.text:
                continue
            if not parts:
                output.append(message(ids.item("msg"), parts, "completed"))
            parts.append(write_text(block, answer.dropped))
        elif (item := write_item(block, ids, taking)) is not None:
            output.append(item)
            parts = []
        else:
            drop(answer.dropped, [kind_of(block)], "output[].")
        if block.seal is not None:
            output.append({"id": ids.item("rs"), **write_seal(block.seal)})
            parts = []
    return output


def message(identifier: str, parts: list[Extra], status: str) -> Extra:
    """A message of the model's."""
    return {"id": identifier, "type": "message", "status": status, "role": "assistant", "content": parts}


def write_text(block: Text | Refusal, dropped: list[str]) -> Extra:
    """A part of a message."""
    if isinstance(block, Refusal):
        return {"type": "refusal", "refusal": block.text}
    annotations: list[Extra] = []
    if block.citations:
        given = [write_annotation(citation, len(block.text)) for citation in block.citations]
        annotations = [annotation for annotation in given if annotation]
        if len(annotations) < len(given):
            drop(dropped, ["annotations"], "output[].content[].")
    return {"type": "output_text", "text": block.text, "annotations": annotations, "logprobs": write_logprobs(block.logprobs)}


def write_item(block: Block, ids: Ids, taking: list[str]) -> Extra | None:
    """Any item but a message; None if there is none for the block. `taking`: the client's tools that take a text."""
    match block:
        case ToolCall() if block.custom or block.name in taking:
            call = {"call_id": ids.call(block.id), "name": block.name, "input": texts.text(block.arguments)}
            return {"id": ids.item("ctc"), "type": "custom_tool_call", "status": "completed", **call}
        case ToolCall():
            call = {"call_id": ids.call(block.id), "name": block.name, "arguments": block.arguments or "{}"}
            return {"id": ids.item("fc"), "type": "function_call", "status": "completed", **call}
        case Reasoning() if block.text or block.redacted or block.signature:
            return {"id": ids.item("rs"), **write_reasoning(block)}
        case Image() if block.data:
            return {"id": ids.item("ig"), "type": "image_generation_call", "status": "completed", "result": block.data}
        case Opaque() if block.dialect == NAME:
            return block.value
    return None


def drop(dropped: list[str], names: Iterable[str], path: str) -> None:
    """Names what could not be expressed, each once."""
    dropped += [path + name for name in names if path + name not in dropped]
