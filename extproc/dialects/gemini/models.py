"""What Gemini models take and refuse, by the version in their names: the rows of `models.toml`."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

_FILE = Path(__file__).with_name("models.toml")

# gemini-2.0-flash-001, gemini-2.5-pro, models/gemini-3-pro-preview, google/gemini-3.1-flash-lite
_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)")
_NEW = (99, 0)


class Abilities(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model can do."""

    budget: tuple[int, ...] = ()
    """Thinks by `thinkingBudget`: the least (0: it need not think) and the most tokens. Empty: not so."""
    levels: tuple[str, ...] = ()
    """Thinks by `thinkingLevel`: those that it knows, least first. Empty: not so."""
    combines: bool = False
    """Structured output together with functions."""
    sees_results: bool = False
    """Takes pictures and files inside a function's response."""
    signed: bool = False
    """Refuses a function call of its own without the signature that it gave it."""


@lru_cache(maxsize=1024)
def abilities(model: str) -> Abilities:
    """The abilities of the model of that name. One without a version is taken for a new one."""
    match = _VERSION.search(model)
    version = (int(match[1]), int(match[2] or 0)) if match else _NEW
    found: dict[str, Any] = {}
    for begins, family, row in _rows():
        if version >= begins and family in model:
            found |= row
    return msgspec.convert(found, Abilities)


@cache
def _rows() -> list[tuple[tuple[int, ...], str, dict[str, Any]]]:
    document = msgspec.toml.decode(_FILE.read_bytes(), type=dict[str, list[dict[str, Any]]])
    return [(tuple(row.pop("from")), row.pop("family", ""), row) for row in document["versions"]]
