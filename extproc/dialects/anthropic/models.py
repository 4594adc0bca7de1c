"""What Claude models take and refuse, by the version in their names.

https://docs.claude.com/en/docs/about-claude/models/overview and the migration guides beside it.
"""

import re

from msgspec import Struct

# claude-3-5-sonnet-20241022, claude-sonnet-4-5, claude-opus-4-20250514, claude-opus-5, anthropic.claude-sonnet-4-5-20250929-v1:0
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")

_NEW = (99, 0)
_FOREIGN = (3, 99)


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


def abilities(model: str) -> Abilities:
    """The abilities of the model of that name. A Claude without a version is a new one; another's model is taken for an early one."""
    match = _VERSION.search(model)
    version = (int(match[1]), int(match[2] or 0)) if match else _NEW if "claude" in model else _FOREIGN
    return Abilities(
        max_tokens=_max_tokens(version, model),
        adaptive=version >= (4, 6),
        thinks=version >= (3, 7),
        sampling=version < (4, 7),
        one_of=version >= (4, 1),
        structured=version >= (4, 5) or (version == (4, 1) and "opus" in model),
        prefill=version < (4, 6),
        xhigh=version >= (4, 7),
    )


def _max_tokens(version: tuple[int, int], model: str) -> int:
    if version == _FOREIGN:
        return 8192
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    return 32000 if "opus" in model and version < (4, 5) else 64000
