"""How much to reason, as providers of OpenAI's dialect ask for it: each in a field of its own (`Quirks.reasoning`)."""

from extproc.dialects.hub import Conversation, Extra, Thinking
from extproc.dialects.models import Abilities
from extproc.dialects.quirks import Quirks, nearest_effort


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
    conversation.drop("thinking.budget_tokens" if thinking.budget is not None else "output_config.effort")


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
