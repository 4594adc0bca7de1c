"""Tools that are called with a text instead of JSON, for those who have functions only: the text is a function's one argument.

https://platform.openai.com/docs/guides/function-calling#custom-tools

In the hub a call's arguments are JSON, of such a tool too: `{"input": "..."}`. So a dialect without these tools writes them, and reads
calls of them, as those of any function; and one that has them takes the text out again, also as it comes in pieces.
"""

import re
from collections.abc import Iterable

import msgspec

from extproc.dialects.hub import Custom, Tool

ASKED = "texts"
"""Stands in `Question.asked`, with the names of the client's tools that take a text."""

OPENING, CLOSING = '{"input":"', '"}'
"""What stands before and after the pieces of a text."""

_INPUT = "input"
_SYNTAXES = {"lark": "lark grammar", "regex": "regular expression"}

_BEGIN = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_SPELT = re.compile(r"\\u00[67]")
"""What a name has instead of a letter, where that is told by its number: such a name may be that of the text, too."""
_BEGUN_BY = 64
"""Pieces after which arguments are something else, if they have not begun so by then."""

_HIGH, _LOW = r"\\u([dD][89abAB][0-9a-fA-F]{2})", r"\\u([dD][c-fC-F][0-9a-fA-F]{2})"
_HEX = "[0-9a-fA-F]{4}"
_AHEAD = 6
"""Characters that tell whether a half of a pair is alone."""
_WHOLE = re.compile(
    rf"""(?:[^"\\]+|{_HIGH}{_LOW}|\\u(?![dD][89abAB]){_HEX}|{_HIGH}(?=.{{{_AHEAD}}})|\\u(?!{_HEX})(?=.{{4}})|\\[^u])+""", re.DOTALL
)
"""Characters of a JSON string as far as they are complete."""
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|\\u({_HEX})|\\(.)", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def tool(name: str, description: str | None, custom: Custom) -> Tool:
    """Such a tool. Its grammar is told to the model, which nobody holds to it elsewhere: whoever cannot say it, names it as well."""
    field = {"type": "string"}
    if custom.definition:
        what = _SYNTAXES.get(custom.syntax, custom.syntax)
        field["description"] = f"A text that matches this {what}:\n{custom.definition}"
    schema = {"type": "object", "properties": {_INPUT: field}, "required": [_INPUT], "additionalProperties": False}
    return Tool(name=name, description=description, schema=schema, custom=custom)


def names(tools: Iterable[Tool] | None) -> list[str]:
    """Those of the tools that take a text."""
    return [one.name for one in tools or () if one.custom is not None]


def piece(text: str) -> str:
    """A piece of the text as it stands in the arguments."""
    return msgspec.json.encode(text).decode()[1:-1]


def arguments(text: str) -> str:
    """The arguments of a call with that text."""
    return f"{OPENING}{piece(text)}{CLOSING}"


def text(given: str) -> str:
    """The text of a call with these arguments: the same as in pieces, so of two texts the first. Of a model that wrote something else, all
    that it wrote.
    """
    begun = _BEGIN.match(given) is not None
    # Of two members of one name a decoder would take the last. No text has its quotes like that, nor small letters by their numbers.
    if not begun or (given.count(f'"{_INPUT}"') == 1 and not _SPELT.search(given)):
        try:
            value = msgspec.json.decode(given)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            if not begun:
                return given
        else:
            found = value.get(_INPUT) if type(value) is dict else None
            return found if type(found) is str else given
    unwrapping = Unwrapping()
    return unwrapping.feed(given) + unwrapping.end()


class Unwrapping:
    """Takes the text out of arguments that come in pieces. Mistakes that models make in JSON, as line breaks and backslashes that stand for
    themselves, are no mistakes in a text.
    """

    __slots__ = ("_before", "_begun", "_ended", "_rest")

    def __init__(self) -> None:
        self._before: list[str] = []
        self._rest = ""
        self._begun = self._ended = False

    def feed(self, given: str) -> str:
        """More of the text, as far as it is told by now."""
        if self._ended:
            return ""
        if not self._begun:
            self._before.append(given)
            if len(self._before) > _BEGUN_BY:
                return ""
            before = "".join(self._before)
            found = _BEGIN.match(before)
            if found is None:
                return ""
            self._begun, given = True, before[found.end() :]
        rest = self._rest + given
        whole = _WHOLE.match(rest)
        end = whole.end() if whole else 0
        self._rest = rest[end:]
        self._ended = self._rest.startswith('"')
        return _ESCAPE.sub(_character, rest[:end])

    def end(self) -> str:
        """What is left, as it is of a model that wrote something else."""
        if not self._begun:
            return text("".join(self._before))
        told = self.feed(" " * _AHEAD)
        return told if self._ended else told[:-_AHEAD]


def _character(escape: re.Match[str]) -> str:
    high, low, code, letter = escape.groups()
    if letter:
        return _ESCAPES.get(letter, f"\\{letter}")
    if code:
        return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= int(code, 16) < 0xE000 else chr(int(code, 16))
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
