"""Gemini's whole answers: https://ai.google.dev/api/generate-content#generatecontentresponse"""

from datetime import datetime
from typing import Any

from extproc.dialects.fields import FieldError, items, obj, take_int, take_str
from extproc.dialects.gemini.citations import read_citations, write_grounding
from extproc.dialects.gemini.logprobs import read_logprobs, write_logprobs
from extproc.dialects.gemini.names import Fields, own
from extproc.dialects.gemini.parts import NAME, own_part, read_parts, write_part
from extproc.dialects.gemini.signatures import UNSIGNED
from extproc.dialects.gemini.tokens import read_usage, write_usage
from extproc.dialects.hub import Answer, Block, Choice, Citation, Extra, Logprob, Refusal, StopReason, Text, ToolCall, kind_of

# https://ai.google.dev/api/generate-content#FinishReason
_STOPS = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.LENGTH,
    "SAFETY": StopReason.FILTER,
    "RECITATION": StopReason.FILTER,
    "BLOCKLIST": StopReason.FILTER,
    "PROHIBITED_CONTENT": StopReason.FILTER,
    "SPII": StopReason.FILTER,
    "MODEL_ARMOR": StopReason.FILTER,
    "IMAGE_SAFETY": StopReason.FILTER,
    "IMAGE_PROHIBITED_CONTENT": StopReason.FILTER,
    "IMAGE_RECITATION": StopReason.FILTER,
    "MALFORMED_FUNCTION_CALL": StopReason.ERROR,
    "UNEXPECTED_TOOL_CALL": StopReason.ERROR,
    "TOO_MANY_TOOL_CALLS": StopReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": StopReason.ERROR,
    "MALFORMED_RESPONSE": StopReason.ERROR,
    "LANGUAGE": StopReason.ERROR,
    "OTHER": StopReason.ERROR,
    "NO_IMAGE": StopReason.ERROR,
    "IMAGE_OTHER": StopReason.ERROR,
}

_WORDS = {
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.CONTEXT: "MAX_TOKENS",
    StopReason.FILTER: "SAFETY",
    StopReason.REFUSAL: "SAFETY",
    StopReason.ERROR: "MALFORMED_FUNCTION_CALL",
}

TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def read_stop(word: str, *, called: bool) -> StopReason:
    """What a `finishReason` means. Gemini stops after a function call as after anything else. Unknown words mean an end."""
    reason = _STOPS.get(word, StopReason.END)
    return StopReason.TOOL if called and reason is StopReason.END else reason


def write_stop(reason: StopReason, *, refused: bool) -> str:
    """The `finishReason`."""
    return _WORDS.get(StopReason.REFUSAL if refused and reason is StopReason.END else reason, "STOP")


def blocked(feedback: Any) -> Refusal | None:
    """What `promptFeedback` says of a prompt that was not answered; None if it does not say that."""
    if type(feedback) is not dict or not feedback.get("blockReason"):
        return None
    told = feedback.get("blockReasonMessage")
    return Refusal(told if type(told) is str else "")


def created(value: Any) -> int:
    """Unix seconds of a `createTime`, which Vertex tells; 0 if it does not."""
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (TypeError, ValueError, OverflowError, OSError):
        return 0


def read_tier(value: Any) -> str | None:
    """The service tier that `usageMetadata` names, in the hub's words."""
    tier = value.get("serviceTier") if type(value) is dict else None
    return TIERS.get(tier) if type(tier) is str else None


def read_answer(body: Extra) -> Answer:
    """A generateContent response. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    given = rest.pop("candidates", None)
    choices = [_choice(value, f"candidates[{i}]", i) for i, value in enumerate(items(given, "candidates") if given is not None else ())]
    raw = rest.get("usageMetadata")
    if not choices:
        if "promptFeedback" not in rest:
            raise FieldError("candidates", "a list", given)
        refusal = blocked(rest.get("promptFeedback"))
        stop = StopReason.FILTER if refusal else StopReason.END
        choices = [Choice(blocks=[refusal] if refusal else [], stop=stop, extra=Fields(candidates=given))]
    usage = read_usage(raw)
    if usage:
        del rest["usageMetadata"]
    return Answer(
        dialect=NAME,
        id=take_str(rest, "responseId") or "",
        model=take_str(rest, "modelVersion") or "",
        created=created(rest.get("createTime")),
        choices=choices,
        usage=usage,
        usage_raw=raw if usage else None,
        service_tier=read_tier(raw),
        extra=rest,
    )


def _choice(value: Any, path: str, position: int) -> Choice:
    rest = Fields(obj(value, path))
    path += "."
    content, message = rest.pop("content", None), Fields()
    blocks: list[Block] = []
    if content is not None:
        message = Fields(obj(content, path + "content"), content=True)
        if message.get("parts") is not None:
            message.own["parts"] = True
            blocks, _ = read_parts(items(message.pop("parts"), path + "content.parts"), path + "content.parts")
    word = take_str(rest, "finishReason", path)
    index = take_int(rest, "index", path)
    rest.own["index"] = index is not None
    texts = [block for block in blocks if type(block) is Text]
    for number, citation in read_citations(rest, [text.text for text in texts]):
        texts[number].citations = [*texts[number].citations, citation]
    if texts:
        texts[0].logprobs = read_logprobs(rest.get("logprobsResult"))
    return Choice(
        index=position if index is None else index,
        blocks=blocks,
        stop=None if word is None else read_stop(word, called=any(type(block) is ToolCall for block in blocks)),
        stop_raw=word,
        extra=rest,
        message_extra=message,
    )


def write_answer(answer: Answer) -> Extra:
    """A generateContent response for a client."""
    same = answer.dialect == NAME
    body: Extra = {**answer.extra} if same else {}
    if not same or own(answer.choices[0].extra, "candidates", answer) is answer:
        body["candidates"] = [_own_candidate(choice) if same else _candidate(choice, answer) for choice in answer.choices]
    elif (candidates := own(answer.choices[0].extra, "candidates")) is not None:
        body["candidates"] = candidates
    if same and answer.usage_raw is not None:
        body["usageMetadata"] = answer.usage_raw
    elif answer.usage is not None:
        body["usageMetadata"] = write_usage(answer.usage)
    for field, value in (("modelVersion", answer.model), ("responseId", answer.id)):
        if value or not same:
            body[field] = value
    return body


def _own_candidate(choice: Choice) -> Extra:
    candidate: Extra = {**choice.extra}
    if own(choice.message_extra, "content"):
        parts: Extra = {"parts": [own_part(block) for block in choice.blocks]} if own(choice.message_extra, "parts") else {}
        candidate["content"] = {**choice.message_extra, **parts}
    if choice.stop_raw is not None:
        candidate["finishReason"] = choice.stop_raw
    if own(choice.extra, "index"):
        candidate["index"] = choice.index
    return candidate


def _candidate(choice: Choice, answer: Answer) -> Extra:
    parts: list[Extra] = []
    cited: list[tuple[str, Citation]] = []
    before: list[int] = []
    logprobs: list[Logprob] = []
    size = 0
    for block in choice.blocks:
        part = _part(block, answer)
        if part is None:
            continue
        parts.append(part)
        if type(block) is Text:
            cited += [(block.text, citation) for citation in block.citations]
            before += [size] * len(block.citations)
            logprobs += block.logprobs or ()
            size += len(block.text.encode("utf-8", "surrogatepass"))
    if call := next((part for part in parts if "functionCall" in part), None):
        call.setdefault("thoughtSignature", UNSIGNED)  # the next request may go to Gemini, which wants one
    refused = any(type(block) is Refusal for block in choice.blocks)
    candidate: Extra = {"content": {"parts": parts, "role": "model"}, "index": choice.index}
    candidate["finishReason"] = write_stop(choice.stop or StopReason.END, refused=refused)
    if grounding := write_grounding(cited, before):
        candidate["groundingMetadata"] = grounding
    if any(not citation.url for _, citation in cited):
        answer.drop("blocks[].citations")
    return {**candidate, **write_logprobs(logprobs)}


def _part(block: Block, answer: Answer) -> Extra | None:
    if type(block) is Text and not block.text and not block.seal:
        return None
    part = {"text": block.text} if type(block) is Refusal else write_part(block)
    if part is None:
        answer.drop(f"blocks[].{kind_of(block)}")
    return part
