"""What Gemini models take and refuse, by the version in their names.

https://ai.google.dev/gemini-api/docs/thinking, https://ai.google.dev/gemini-api/docs/gemini-3
"""

import re

from msgspec import Struct

# gemini-2.0-flash-001, gemini-2.5-pro, models/gemini-3-pro-preview, google/gemini-3.1-flash-lite
_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)")
_NEW = (99, 0)


class Abilities(Struct, frozen=True):
    """What a model can do."""

    budget: tuple[int, int] | None
    """Thinks by `thinkingBudget`: the least (0: it need not think) and the most tokens."""
    levels: tuple[str, ...]
    """Thinks by `thinkingLevel`: those that it knows, least first. Empty: by a budget, or not at all."""
    combines: bool
    """Structured output together with functions."""
    sees_results: bool
    """Takes pictures and files inside a function's response."""
    signed: bool
    """Refuses a function call of its own without the signature that it gave it."""


def abilities(model: str) -> Abilities:
    """The abilities of the model of that name. One without a version is taken for a new one."""
    match = _VERSION.search(model)
    version = (int(match[1]), int(match[2] or 0)) if match else _NEW
    new = version >= (3, 0)
    return Abilities(
        budget=_budget(model) if (2, 5) <= version < (3, 0) else None,
        levels=_levels(model, version) if new else (),
        combines=new,
        sees_results=new,
        signed=new,
    )


def _budget(model: str) -> tuple[int, int]:
    if "pro" in model:
        return 128, 32768
    return 0, 24576


def _levels(model: str, version: tuple[int, int]) -> tuple[str, ...]:
    if "pro" not in model:
        return ("MINIMAL", "LOW", "MEDIUM", "HIGH")
    return ("LOW", "HIGH") if version == (3, 0) else ("LOW", "MEDIUM", "HIGH")
