"""What models take and refuse in OpenAI's words, by their names: the rows of `models.toml`."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

_FILE = Path(__file__).with_name("models.toml")


class Abilities(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model can be asked."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Where the most tokens of an answer stand."""
    developer: bool = False
    """Knows the role `developer`."""
    refuses: tuple[str, ...] = ()
    """Fields that it answers with an error."""
    reasons: bool = False
    """Takes `reasoning_effort`."""
    customs: bool = False
    """Takes tools that are called with a text."""
    verbosity: bool = False
    """Takes `verbosity`."""
    uploads: bool = False
    """Takes files by their ids (`Opaque.upload`)."""
    searches: bool = False
    """Searches the web, asked by `web_search_options`."""
    watches: bool = False
    """Takes `video_url`."""
    signer: str = ""
    """Whose signatures it takes back (see `seals.py`)."""
    thinks: bool = False
    """Can be told to reason or not, by other fields than `reasoning_effort`."""


@lru_cache(maxsize=1024)
def abilities(model: str) -> Abilities:
    """Those of the model of that name; of one that nobody knows, what every model has."""
    found: dict[str, Any] = {}
    name = model.lower()
    for pattern, row in _rows():
        if pattern.search(name):
            found |= row
    return msgspec.convert(found, Abilities)


@cache
def _rows() -> tuple[tuple[re.Pattern[str], dict[str, Any]], ...]:
    document = msgspec.toml.decode(_FILE.read_bytes(), type=dict[str, list[dict[str, Any]]])
    return tuple((re.compile(row.pop("match")), row) for row in document["models"])
