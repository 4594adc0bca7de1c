r"""How the demo provider counts tokens: by a rule that anybody can do again by hand, the same in every dialect.

A token is a run of up to 12 word characters, or one character that is neither word nor white space (regular expression
`\w{1,12}|[^\w\s]`). White space is free. A request costs `REQUEST` tokens, plus those of every text in it: system prompts,
messages, names and arguments of tool calls, tool results, and each tool's name, description and schema; and `IMAGE` tokens an image.
Objects (arguments, schemas) count as their JSON with sorted keys and no spaces. Roles, ids and the division into messages are
free, because that is where the dialects differ: a conversation that was translated costs the same.
"""

import re
from typing import Any

import msgspec

REQUEST = 3
"""Tokens of every request, even an empty one."""
IMAGE = 85
"""Tokens of an image of any size."""

_TOKEN = re.compile(r"\w{1,12}|[^\w\s]")
_PIECE = re.compile(r"\s*(?:\w{1,12}|[^\w\s])")
_json = msgspec.json.Encoder(order="sorted")


def count(text: str) -> int:
    """Tokens of a text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def pieces(text: str) -> list[str]:
    """The text in pieces of one token each, each with the white space before it; together they are the text again."""
    found = _PIECE.findall(text)
    rest = text[sum(map(len, found)) :]
    if rest:
        found[-1:] = [found[-1] + rest] if found else [rest]
    return found


def canonical(value: Any) -> str:
    """A JSON value as the text that is counted for it."""
    return _json.encode(value).decode()
