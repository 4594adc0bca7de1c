"""What Claude models take and refuse, by the version in their names: the rows of `models.toml`."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

_FILE = Path(__file__).with_name("models.toml")

# claude-3-5-sonnet-20241022, claude-sonnet-4-5, claude-opus-4-20250514, claude-opus-5, anthropic.claude-sonnet-4-5-20250929-v1:0
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")

_NEW = (99, 0)


class Abilities(Struct, frozen=True):
    """What a model can do."""

    max_tokens: int
    """The default of `max_tokens`, which Anthropic requires: the most that every model of this version takes."""
    adaptive: bool
    """Thinks by `thinking: adaptive` and `output_config.effort`; older ones by a budget."""
    thinks: bool
    sampling: bool
    """Takes temperature, top_p and top_k."""
    one_of: bool
    """Takes temperature or top_p, not both."""
    structured: bool
    """Takes `output_config.format` and strict tools."""
    prefill: bool
    """Goes on with a last message of the assistant's."""
    xhigh: bool
    """Knows effort `xhigh`."""
    finds: bool
    """Takes what a search found (`search_result`)."""
    instructs: bool
    """Takes instructions among the messages, after a user's."""


@lru_cache(maxsize=1024)
def abilities(model: str) -> Abilities:
    """The abilities of the model of that name. A Claude without a version is a new one; another's model is taken for an early one."""
    match = _VERSION.search(model)
    foreign, rows = _table()
    own = match is not None or "claude" in model
    version = (int(match[1]), int(match[2] or 0)) if match else _NEW if own else tuple(foreign["from"])
    found: dict[str, Any] = {}
    for row in rows:
        if version >= tuple(row["from"]) and row.get("family", "") in model:
            found |= row
    return msgspec.convert(found if own else found | foreign, Abilities)


@cache
def _table() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    document = msgspec.toml.decode(_FILE.read_bytes())
    return document["foreign"], document["versions"]
