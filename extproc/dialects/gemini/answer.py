"""Gemini's whole answers: https://ai.google.dev/api/generate-content#generatecontentresponse"""

from datetime import datetime
from typing import Any

from extproc.dialects.fields import FieldError, items, length, obj, take_int, take_str
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
    if type(value) is not str:
        return 0
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError, OSError):
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
    rest = obj(value, path)
    path += "."
    blocks, message = _content(rest.pop("content", None), path + "content")
    word = take_str(rest, "finishReason", path)
    index = take_int(rest, "index", path)
    if rest:
        _sources(blocks, rest)
    return Choice(
        index=position if index is None else index,
        blocks=blocks,
        stop=None if word is None else read_stop(word, called=ToolCall in map(type, blocks)),
        stop_raw=word,
        extra=rest if index is not None else Fields(rest, index=False),
        message_extra=message,
    )


def _content(value: Any, path: str) -> tuple[list[Block], Extra]:
    """The blocks of a candidate's content, and what else is in it."""
    if value is None:
        return [], Fields(content=False)
    message = obj(value, path)
    if message.get("parts") is None:
        return [], Fields(message, parts=False)
    path += ".parts"
    return read_parts(items(message.pop("parts"), path), path)[0], message


def _sources(blocks: list[Block], candidate: Extra) -> None:
    """Gives texts what the candidate says of them: where they come from, and how likely they were."""
    texts = [block for block in blocks if type(block) is Text]
    for number, citation in read_citations(candidate, [text.text for text in texts]):
        texts[number].citations = [*texts[number].citations, citation]
    if texts:
        texts[0].logprobs = read_logprobs(candidate.get("logprobsResult"))


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
    if own(choice.message_extra, "content", True):
        parts: Extra = {"parts": [own_part(block) for block in choice.blocks]} if own(choice.message_extra, "parts", True) else {}
        candidate["content"] = {**choice.message_extra, **parts}
    if choice.stop_raw is not None:
        candidate["finishReason"] = choice.stop_raw
    if own(choice.extra, "index", True):
        candidate["index"] = choice.index
    return candidate


def _candidate(choice: Choice, answer: Answer) -> Extra:
    parts: list[Extra] = []
    cited: list[tuple[str, Citation]] = []
    before: list[int] = []
    logprobs: list[Logprob] = []
    size = 0
    for block in choice.blocks:
        written = _part(block, answer)
        if written is None:
            continue
        parts.append(written)
        if type(block) is Text:
            cited += [(block.text, citation) for citation in block.citations]
            before += [size] * len(block.citations)
            logprobs += block.logprobs or ()
            size += length(block.text)
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", UNSIGNED)  # the next request may go to Gemini, which wants one
            break
    refused = Refusal in map(type, choice.blocks)
    candidate: Extra = {"content": {"parts": parts, "role": "model"}, "index": choice.index}
    candidate["finishReason"] = write_stop(choice.stop or StopReason.END, refused=refused)
    if cited:
        candidate |= _grounding(cited, before, answer)
    return {**candidate, **write_logprobs(logprobs)} if logprobs else candidate


def _grounding(cited: list[tuple[str, Citation]], before: list[int], answer: Answer) -> Extra:
    if any(not citation.url for _, citation in cited):
        answer.drop("blocks[].citations")
    grounding = write_grounding(cited, before)
    return {"groundingMetadata": grounding} if grounding else {}


def _part(block: Block, answer: Answer) -> Extra | None:
    if type(block) is Text and not block.text and not block.seal:
        return None
    part = {"text": block.text} if type(block) is Refusal else write_part(block)
    if part is None:
        answer.drop(f"blocks[].{kind_of(block)}")
    return part
