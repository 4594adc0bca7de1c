"""Anthropic's whole answers: https://docs.claude.com/en/api/messages#response-id"""

from extproc.dialects.anthropic.blocks import NAME, read_block, usual_block, write_block
from extproc.dialects.anthropic.request_restore import own_block
from extproc.dialects.anthropic.sealing import write_seal
from extproc.dialects.anthropic.tokens import read_usage, write_creation, write_usage
from extproc.dialects.fields import items, obj, object_of, take_str, tool_id
from extproc.dialects.hub import Answer, Block, Choice, Extra, Reasoning, Refusal, StopReason, Text, ToolCall, kind_of

_STOPS = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOL,
    "pause_turn": StopReason.PAUSE,
    "refusal": StopReason.REFUSAL,
    "model_context_window_exceeded": StopReason.CONTEXT,
}

_WORDS = {reason: word for word, reason in _STOPS.items()} | {StopReason.FILTER: "refusal", StopReason.ERROR: "end_turn"}

_TIERS = {"standard": "default"}
_LONGEST_ID = 64


def read_stop(word: str) -> StopReason:
    """What a `stop_reason` means. Unknown words mean an end."""
    return _STOPS.get(word, StopReason.END)


def write_stop(reason: StopReason, *, called: bool, refused: bool) -> str:
    """The `stop_reason`. Some providers say "stop" after a tool call, and OpenAI after a refusal: clients here go by the reason."""
    if reason is StopReason.END and (called or refused):
        return "tool_use" if called else "refusal"
    return _WORDS[reason]


def read_tier(value: object) -> str | None:
    """The service tier in the hub's words."""
    return _TIERS.get(value, value) if type(value) is str else None


def write_tier(tier: str | None) -> str | None:
    """A tier that Anthropic's clients know, or none."""
    return "standard" if tier == "default" else tier if tier in ("priority", "batch") else None


def read_answer(body: Extra) -> Answer:
    """A message. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    if rest.get("type", "message") != "message":
        raise ValueError(f"type: expected message, got {str(rest.get('type'))[:80]}")
    rest.pop("type", None)
    rest.pop("role", None)
    content = items(rest.pop("content", None), "content")
    blocks = [usual_block(value) or read_block(value, f"content[{i}]") for i, value in enumerate(content)]
    word = take_str(rest, "stop_reason")
    raw = rest.get("usage")
    usage = read_usage(raw)
    if usage:
        del rest["usage"]
    choice = Choice(
        blocks=blocks,
        stop=None if word is None else read_stop(word),
        stop_raw=word,
        stop_sequence=take_str(rest, "stop_sequence"),
    )
    return Answer(
        dialect=NAME,
        id=take_str(rest, "id") or "",
        model=take_str(rest, "model") or "",
        choices=[choice],
        usage=usage,
        usage_raw=raw if usage else None,
        service_tier=read_tier(raw.get("service_tier")) if usage and type(raw) is dict else None,
        extra=rest,
    )


def write_answer(answer: Answer) -> Extra:
    """A message for a client."""
    choice = answer.choices[0]
    own = answer.dialect == NAME
    if own:
        content = [own_block(block) for block in choice.blocks]
        word = choice.stop_raw
    else:
        content = _content(choice.blocks, answer)
        kinds = {type(block) for block in choice.blocks}
        word = write_stop(choice.stop or StopReason.END, called=ToolCall in kinds, refused=Refusal in kinds)
        if len(answer.choices) > 1:
            answer.dropped.append("choices[1:]")
    body: Extra = {**answer.extra} if own else {}
    body |= {"id": answer.id, "type": "message", "role": "assistant", "model": answer.model, "content": content, "stop_reason": word}
    if not own or "stop_sequence" not in body:
        body["stop_sequence"] = choice.stop_sequence
    return body | {"usage": _usage(answer, own)}


def _usage(answer: Answer, own: bool) -> Extra:
    if own and answer.usage_raw is not None:
        return answer.usage_raw
    written = write_usage(answer.usage) | {"cache_creation": write_creation(answer.usage)}
    tier = write_tier(answer.service_tier)
    return written | {"service_tier": tier} if tier else written


def _content(blocks: list[Block], answer: Answer) -> list[Extra]:
    content: list[Extra] = []
    for i, block in enumerate(blocks):
        if block.seal:
            content.append(write_seal(block.seal))
        if type(block) is Text and block.logprobs:
            answer.drop("blocks[].logprobs")
        if type(block) is ToolCall:
            call = call_id(block.id, answer.id, i)
            content.append({"type": "tool_use", "id": call, "name": block.name, "input": object_of(block.arguments)})
        elif type(block) is Refusal or (type(block) is Text and not block.text):
            if block.text:
                content.append({"type": "text", "text": block.text})
        else:
            drawn = type(block) is not Text and type(block) is not Reasoning  # Claude draws no pictures
            written = None if drawn else write_block(block, False)
            if written is not None:
                content.append(written)
            else:
                answer.drop(f"blocks[].{kind_of(block)}")
    return content


def call_id(given: str, answer: str, index: int) -> str:
    """A tool call's id; one is made of the answer's where the provider gave none, so that no two answers share it."""
    return tool_id(given or f"toolu_{answer}_{index}", _LONGEST_ID)
