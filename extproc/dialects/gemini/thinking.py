"""How much a Gemini model is to think: a budget of tokens up to 2.5, levels from 3 on.

https://ai.google.dev/gemini-api/docs/thinking
"""

from extproc.dialects.gemini.models import Abilities
from extproc.dialects.hub import Conversation, Extra, Thinking

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
"""Google's own for OpenAI's efforts: https://ai.google.dev/gemini-api/docs/openai#thinking"""

_DYNAMIC = -1
"""The model decides."""

_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}


def write_thinking(conversation: Conversation, config: Extra, able: Abilities) -> None:
    """`thinkingConfig`, if the client asks for any."""
    wanted = conversation.thinking
    if wanted is None:
        return
    conversation.drop_extra(wanted.extra, "thinking.")
    effort = _effort(wanted)
    if not effort and wanted.budget is None and not wanted.mode:
        return
    if not able.budget and not able.levels:
        if effort != "none":
            conversation.drop("thinking.effort")
        return
    written = _level(effort, conversation, able) if able.levels else _budget(wanted, effort, conversation, able)
    if effort != "none" and wanted.summary != "none":
        written["includeThoughts"] = True  # whoever asks for reasoning is shown it, as with other providers
    if written:
        config["thinkingConfig"] = written


def _effort(wanted: Thinking) -> str:
    if wanted.mode == "disabled" or wanted.budget == 0:
        return "none"
    if wanted.effort or wanted.budget is None:
        return wanted.effort
    return "low" if wanted.budget < 4096 else "medium" if wanted.budget < 12288 else "high"


def _level(effort: str, conversation: Conversation, able: Abilities) -> Extra:
    """The nearest level that the model has; there is none for not thinking at all."""
    if effort not in _LEVELS:
        return {}
    if effort == "none" and able.levels[0] != "MINIMAL":
        conversation.drop("thinking.effort")
    wanted = _LEVELS[effort]
    if wanted not in able.levels:
        wanted = "LOW" if wanted == "MINIMAL" else "HIGH"
    return {"thinkingLevel": wanted}


def _budget(wanted: Thinking, effort: str, conversation: Conversation, able: Abilities) -> Extra:
    least, most = able.budget
    budget = wanted.budget if wanted.budget is not None else _BUDGETS.get(effort)
    if effort == "none":
        budget = 0
    if budget is None:
        return {"thinkingBudget": _DYNAMIC} if wanted.mode == "adaptive" else {}
    if budget == 0 and least:
        conversation.drop("thinking.effort")  # it always thinks
    return {"thinkingBudget": min(max(budget, least), most)}
