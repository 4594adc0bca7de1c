"""Bedrock's whole answers: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax

They have no id and do not name their model.
"""

from typing import Any

from extproc.dialects.bedrock.blocks import NAME, read_content
from extproc.dialects.bedrock.citations import write_citation
from extproc.dialects.bedrock.media import write_image, write_video
from extproc.dialects.bedrock.reasoning import write_reasoning
from extproc.dialects.bedrock.request_restore import own_content
from extproc.dialects.bedrock.tokens import read_usage, write_usage
from extproc.dialects.fields import obj, object_of, take_str, tool_id
from extproc.dialects.hub import Answer, Block, Choice, Extra, Image, Reasoning, Refusal, StopReason, Text, ToolCall, Video, kind_of
from extproc.usage import of_tier

_STOPS = {
    "end_turn": StopReason.END,
    "tool_use": StopReason.TOOL,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "guardrail_intervened": StopReason.FILTER,
    "content_filtered": StopReason.FILTER,
    "malformed_model_output": StopReason.ERROR,
    "malformed_tool_use": StopReason.ERROR,
    "model_context_window_exceeded": StopReason.CONTEXT,
    # Claude's own word, which is not in the reference.
    "refusal": StopReason.REFUSAL,
}

_WORDS = {reason: word for word, reason in reversed(_STOPS.items())} | {
    StopReason.FILTER: "content_filtered",
    StopReason.REFUSAL: "content_filtered",
    StopReason.PAUSE: "end_turn",
    StopReason.ERROR: "malformed_model_output",
}

TIERS = frozenset(("default", "flex", "priority", "reserved"))

_LONGEST_ID = 64


def read_stop(word: str) -> StopReason:
    """What a `stopReason` means. Unknown words mean an end."""
    return _STOPS.get(word, StopReason.END)


def write_stop(reason: StopReason, *, called: bool, refused: bool) -> str:
    """The `stopReason`. Some providers say "stop" after a tool call, and OpenAI after a refusal: clients here go by the reason."""
    if reason is StopReason.END and (called or refused):
        return "tool_use" if called else "content_filtered"
    return _WORDS[reason]


def stop_sequence(fields: Any) -> str | None:
    """The stop sequence that was met, where a client asked for the model's own word (`additionalModelResponseFieldPaths`)."""
    met = fields.get("stop_sequence") if type(fields) is dict else None
    return met if type(met) is str else None


def tier_of(value: Any) -> str | None:
    """The service tier of an answer or of a stream's metadata."""
    tier = value.get("type") if type(value) is dict else None
    return tier if type(tier) is str else None


def invoked_model(trace: Any) -> str:
    """The model that a prompt router chose; otherwise an answer names none."""
    router = trace.get("promptRouter") if type(trace) is dict else None
    model = router.get("invokedModelId") if type(router) is dict else None
    return model if type(model) is str else ""


def read_answer(body: Extra) -> Answer:
    """A Converse response. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    output = obj(rest.pop("output", None), "output")
    message = obj(output.pop("message", None), "output.message")
    message.pop("role", None)
    blocks = read_content(message.pop("content", None), "output.message.content")
    word = take_str(rest, "stopReason")
    raw = rest.get("usage")
    usage = of_tier(read_usage(raw), tier_of(rest.get("serviceTier")))
    if usage:
        del rest["usage"]
    if output:
        rest["output"] = output
    choice = Choice(
        blocks=blocks,
        stop=None if word is None else read_stop(word),
        stop_raw=word,
        stop_sequence=stop_sequence(rest.get("additionalModelResponseFields")),
        message_extra=message,
    )
    return Answer(
        dialect=NAME,
        id="",
        model=invoked_model(rest.get("trace")),
        choices=[choice],
        usage=usage,
        usage_raw=raw if usage else None,
        service_tier=tier_of(rest.get("serviceTier")),
        extra=rest,
    )


def write_answer(answer: Answer) -> Extra:
    """A Converse response for a client."""
    choice = answer.choices[0]
    if answer.dialect == NAME:
        return _restore(answer, choice)
    kinds = {*map(type, choice.blocks)}
    if len(answer.choices) > 1:
        answer.dropped.append("choices[1:]")
    body: Extra = {
        "output": {"message": {"role": "assistant", "content": _content(choice.blocks, answer)}},
        "stopReason": write_stop(choice.stop or StopReason.END, called=ToolCall in kinds, refused=Refusal in kinds),
        "usage": write_usage(answer.usage),
        "metrics": {"latencyMs": 0},
    }
    if choice.stop_sequence is not None:
        body["additionalModelResponseFields"] = {"stop_sequence": choice.stop_sequence}
    if answer.service_tier in TIERS:
        body["serviceTier"] = {"type": answer.service_tier}
    return body


def _restore(answer: Answer, choice: Choice) -> Extra:
    message = {**choice.message_extra, "role": "assistant", "content": own_content(choice.blocks)}
    body: Extra = {**answer.extra, "output": {**answer.extra.get("output", {}), "message": message}}
    if choice.stop_raw is not None:
        body["stopReason"] = choice.stop_raw
    if answer.usage_raw is not None:
        body["usage"] = answer.usage_raw
    return body


def _content(blocks: list[Block], answer: Answer) -> list[Extra]:
    content: list[Extra] = []
    for i, block in enumerate(blocks):
        if type(block) is ToolCall:
            call = {"toolUseId": call_id(block.id, answer.id, i), "name": block.name, "input": object_of(block.arguments)}
            content.append({"toolUse": call})
        elif (written := write_block(block)) is not None:
            content += [written] if written else []
        elif (name := f"blocks[].{kind_of(block)}") not in answer.dropped:
            answer.dropped.append(name)
    return content


def write_block(block: Block) -> Extra | None:
    """A block of an answer, tool calls aside: empty if there is nothing in it, None if Bedrock has no form for it."""
    match block:
        case Text():
            if block.citations:
                citations = [write_citation(citation) for citation in block.citations]
                return {"citationsContent": {"content": [{"text": block.text}], "citations": citations}}
            return {"text": block.text} if block.text else {}
        case Refusal():
            return {"text": block.text} if block.text else {}
        case Reasoning():
            return {"reasoningContent": write_reasoning(block)}
        case Image():
            return write_image(block)
        case Video():
            return write_video(block)
    return None


def call_id(given: str, answer: str, index: int) -> str:
    """A tool call's id; one is made of the answer's where the provider gave none, so that no two answers share it."""
    return tool_id(given or f"tooluse_{answer}_{index}", _LONGEST_ID)
