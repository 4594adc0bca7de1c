"""Everything of a Converse request beside messages and tools: sampling, reasoning, structured output, account.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_RequestBody
"""

import re
from typing import Any

import msgspec

from extproc.dialects import betas
from extproc.dialects.bedrock.families import Family, put
from extproc.dialects.bedrock.request_read import MODEL
from extproc.dialects.hub import Conversation, Extra, Format, Thinking
from extproc.dialects.schemas import tightened

_CARRIED = ("stream_options",)
"""Fields of other dialects that are read though the hub has no word for them, or have no meaning here."""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_LEAST_BUDGET = 1024

_TIERS = frozenset(("default", "flex", "priority", "reserved"))

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, requestMetadata
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_METADATA = 16


def write_settings(conversation: Conversation, body: Extra, system: list[Extra], able: Family) -> None:
    """Adds all of them to `body`; to `system` an instruction, where the model has no structured output."""
    _thinking(conversation, body, able)
    _sampling(conversation, body, able)
    _format(conversation, body, system, able)
    _account(conversation, body)
    carried = (*_CARRIED, betas.MEMBER) if _betas(conversation, body, able) else _CARRIED
    conversation.drop_extra({key: value for key, value in conversation.extra.items() if key not in carried})


def _betas(conversation: Conversation, body: Extra, able: Family) -> bool:
    """Whether the model takes the betas that the client's body asks for: they stand among what only it has."""
    if not able.betas or conversation.dialect != betas.MAKER or betas.MEMBER not in conversation.extra:
        return False
    if given := betas.read_betas(conversation.extra[betas.MEMBER]):
        body.setdefault(MODEL, {})[betas.MEMBER] = given
    return True


def _thinking(conversation: Conversation, body: Extra, able: Family) -> None:
    wanted = conversation.thinking
    if wanted is None:
        return
    conversation.drop_extra(wanted.extra, "thinking.")
    off = wanted.mode == "disabled" or wanted.effort == "none" or wanted.budget == 0
    if off or not (wanted.effort or wanted.budget or wanted.mode):
        return  # none of them thinks unless asked to, but for those that cannot be asked not to
    fields: Extra = {}
    if able.budget:
        _budget(wanted, conversation, body, fields)
    elif able.adaptive and not _forced(body):
        fields["thinking"] = {"type": "adaptive"}
        put(fields, able.effort, able.efforts[_effort(wanted)])
    elif able.effort and not able.adaptive:
        put(fields, able.effort, able.efforts[_effort(wanted)])
        if able.enabled:
            put(fields, able.enabled, "enabled")
    if fields:
        body[MODEL] = fields
    else:
        conversation.drop("thinking.effort" if wanted.effort else "thinking")


def _effort(wanted: Thinking) -> str:
    """The effort in the hub's words; of a budget, the one that is like it."""
    if wanted.effort in _BUDGETS:
        return wanted.effort
    budget = wanted.budget
    return "high" if budget is None or budget >= _BUDGETS["high"] else "medium" if budget > _BUDGETS["low"] else "low"


def _forced(body: Extra) -> bool:
    """A tool has to be called, and then Claude may not think."""
    return bool(body.get("toolConfig", {}).get("toolChoice", {}).keys() & {"any", "tool"})


def _budget(wanted: Thinking, conversation: Conversation, body: Extra, fields: Extra) -> None:
    most = conversation.max_tokens
    budget = wanted.budget or _BUDGETS[_effort(wanted)]
    if most is not None and (wanted.budget is None or budget >= most):
        budget = min(budget, most // 2)  # `maxTokens` counts both
    if budget >= _LEAST_BUDGET and not _forced(body) and not _unsigned(body["messages"]):
        fields["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _unsigned(messages: list[Extra]) -> bool:
    """A tool call is being answered whose thinking the client did not keep: "Expected `thinking`, but found `tool_use`"."""
    if len(messages) < 2 or "toolResult" not in messages[-1]["content"][0]:
        return False
    return "reasoningContent" not in messages[-2]["content"][0]


def _sampling(conversation: Conversation, body: Extra, able: Family) -> None:
    fields = body.get(MODEL, {})
    bare = bool(able.bare) and bool(able.effort) and _at(fields, able.effort) == able.bare
    free = able.sampling and not bare and "thinking" not in fields  # thinking wants temperature 1, and no top_k
    inference: Extra = {}
    if conversation.max_tokens is not None:
        if bare:
            conversation.drop("max_tokens")
        else:
            inference["maxTokens"] = conversation.max_tokens
    _temperature(conversation, inference, able, free=free)
    if conversation.top_k is not None:
        if free and able.top_k:
            body.setdefault(MODEL, {})
            put(body[MODEL], able.top_k, conversation.top_k)
        else:
            conversation.drop("top_k")
    _stop(conversation, inference)
    if inference:
        body["inferenceConfig"] = inference
    for field in ("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None and (value or field == "seed"):
            conversation.drop(field)
    if conversation.verbosity not in (None, "medium"):
        conversation.drop("verbosity")
    if conversation.n is not None and conversation.n != 1:
        conversation.drop("n")


def _at(fields: Extra, path: tuple[str, ...]) -> Any:
    value: Any = fields
    for key in path:
        value = value.get(key) if type(value) is dict else None
    return value


def _temperature(conversation: Conversation, inference: Extra, able: Family, *, free: bool) -> None:
    temperature, top_p = conversation.temperature, conversation.top_p
    if temperature is not None and free:
        if temperature > 1:
            conversation.drop("temperature")  # 0 to 2 elsewhere, 0 to 1 here: the most there is, and named
        inference["temperature"] = min(temperature, 1)
    elif temperature not in (None, 1):
        conversation.drop("temperature")
    if top_p is None or top_p == 1:
        return
    if free and not (able.one_of and temperature is not None):
        inference["topP"] = top_p
    else:
        conversation.drop("top_p")


def _stop(conversation: Conversation, inference: Extra) -> None:
    if not conversation.stop:
        return
    stop = [sequence for sequence in conversation.stop if sequence.strip()]
    if len(stop) < len(conversation.stop):
        conversation.drop("stop")
    if stop:
        inference["stopSequences"] = stop


def _format(conversation: Conversation, body: Extra, system: list[Extra], able: Family) -> None:
    """Structured output where the model has it; elsewhere an instruction, which is no promise and therefore named."""
    wanted = conversation.format
    if wanted is None or wanted.kind == "text":
        return
    if wanted.kind == "json_schema" and able.structured and wanted.schema is not None:
        definition = {"name": wanted.name or "answer", "schema": _json(tightened(wanted.schema))}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}
        return
    conversation.drop("format")
    if wanted.kind != "opaque":
        system.append({"text": _instruction(wanted)})


def _instruction(wanted: Format) -> str:
    if wanted.schema is None:
        return "Answer with one JSON object and nothing else."
    return f"Answer with one JSON object and nothing else. It must match this JSON schema:\n{_json(wanted.schema)}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _account(conversation: Conversation, body: Extra) -> None:
    if conversation.user:
        conversation.drop("user")
    if conversation.metadata:
        _metadata(conversation.metadata, conversation, body)
    if conversation.service_tier in _TIERS:
        body["serviceTier"] = {"type": conversation.service_tier}
    elif conversation.service_tier not in (None, "auto"):
        conversation.drop("service_tier")


def _metadata(metadata: Extra, conversation: Conversation, body: Extra) -> None:
    kept = {key: value for key, value in metadata.items() if type(value) is str and _METADATA.fullmatch(value) and _METADATA.fullmatch(key)}
    kept = dict(list(kept.items())[:_MOST_METADATA])
    if kept:
        body["requestMetadata"] = kept
    conversation.drop_extra({key: value for key, value in metadata.items() if key not in kept}, "metadata.")
