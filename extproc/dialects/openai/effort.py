"""How much to reason, as providers of OpenAI's dialect ask for it: each in a field of its own (`Quirks.reasoning`)."""

from typing import Any

from extproc.dialects.fields import take_str
from extproc.dialects.hub import Conversation, Extra, Thinking
from extproc.dialects.models import Abilities
from extproc.dialects.quirks import EFFORTS, Quirks, nearest_effort

_FIELDS = ("reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget")


def read_thinking(rest: Extra) -> Thinking | None:
    """What a client of any of these providers asks for, taken out of `rest`; the fields themselves stay in `raw`."""
    if rest.keys().isdisjoint(_FIELDS):
        return None
    effort = take_str(rest.copy(), "reasoning_effort")
    reasoning, switch = _object_in(rest, "reasoning"), _object_in(rest, "thinking")
    raw = {field: rest.pop(field) for field in _FIELDS if _is_known(field, rest.get(field))}
    if not raw:
        return None
    budget = reasoning.pop("max_tokens", switch.pop("budget_tokens", raw.get("thinking_budget")))
    said = reasoning.pop("enabled", raw.get("enable_thinking"))
    mode = switch.pop("type", {True: "enabled", False: "disabled"}.get(said, "") if type(said) is bool else "")
    word, summary = reasoning.pop("effort", None), reasoning.pop("summary", None)
    if reasoning.pop("exclude", None) is True:
        summary = "none"
    effort = effort or (word if type(word) is str else "")
    if effort and effort not in EFFORTS:  # of tomorrow, or of nobody
        effort, reasoning = "", {**reasoning, "effort": effort}
    return Thinking(
        effort=effort,
        budget=budget if type(budget) is int else None,
        summary=summary if type(summary) is str else "",
        mode=mode if type(mode) is str else "",
        extra={**reasoning, **switch},
        raw=raw,
    )


def _object_in(rest: Extra, field: str) -> Extra:
    value = rest.get(field)
    return value.copy() if type(value) is dict else {}


def _is_known(field: str, value: Any) -> bool:
    kind = {"reasoning_effort": str, "enable_thinking": bool, "thinking_budget": int}.get(field, dict)
    return type(value) is kind


def write_thinking(thinking: Thinking, conversation: Conversation, body: Extra, able: Abilities, quirks: Quirks) -> None:
    """Puts it into `body`; names what the provider or the model has no word for."""
    match quirks.reasoning:
        case "reasoning":
            body["reasoning"] = _object(thinking, quirks)
        case "enable_thinking" | "thinking" if _is_off(thinking) or able.thinks or able.reasons:
            _switch(thinking, conversation, body, able, quirks)
        case None | "reasoning_effort" if able.reasons:
            _word(thinking, conversation, body, quirks)
        case _ if not _is_off(thinking) and (thinking.effort or thinking.budget is not None):
            _name(thinking, conversation)


def _is_off(thinking: Thinking) -> bool:
    return thinking.mode == "disabled" or thinking.effort == "none" or thinking.budget == 0


def _effort(thinking: Thinking) -> str:
    """A word for it; a budget counts as one of three."""
    if thinking.effort or thinking.budget is None:
        return thinking.effort
    return "low" if thinking.budget < 4096 else "medium" if thinking.budget < 12288 else "high"


def _name(thinking: Thinking, conversation: Conversation) -> None:
    conversation.drop("thinking.budget" if thinking.budget is not None else "thinking.effort")


def _word(thinking: Thinking, conversation: Conversation, body: Extra, quirks: Quirks) -> None:
    """`reasoning_effort`. Whether to reason at all is left to the model, which is its default."""
    effort = _effort(thinking)
    if not effort or thinking.mode == "disabled" or thinking.budget == 0:
        return
    known = nearest_effort(effort, quirks.efforts)
    if known:
        body["reasoning_effort"] = known
    else:
        _name(thinking, conversation)


def _object(thinking: Thinking, quirks: Quirks) -> Extra:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens: models that do not reason pass over it."""
    if _is_off(thinking):
        return {"effort": "none"}
    if thinking.effort:
        known = nearest_effort(thinking.effort, quirks.efforts)
        return {"effort": known} if known else {"enabled": True}
    return {"max_tokens": thinking.budget} if thinking.budget is not None else {"enabled": True}


def _switch(thinking: Thinking, conversation: Conversation, body: Extra, able: Abilities, quirks: Quirks) -> None:
    """On or off; how much is a matter of its own, and some have no measure for it."""
    off = _is_off(thinking)
    if off and not (able.thinks or able.reasons):
        return
    if quirks.reasoning == "thinking":
        body["thinking"] = {"type": "disabled" if off else "enabled"}
    else:
        body["enable_thinking"] = not off
    effort = _effort(thinking)
    if off or not effort:
        return
    if quirks.reasoning == "enable_thinking" and thinking.budget is not None:
        body["thinking_budget"] = thinking.budget
    elif quirks.efforts and (known := nearest_effort(effort, quirks.efforts)):
        body["reasoning_effort"] = known
    else:
        _name(thinking, conversation)
