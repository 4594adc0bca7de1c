"""A call whose arguments come in pieces, each with a path to where it belongs. It is told whole, once nothing of it is to follow.

A first part names the function; further ones have `partialArgs`; `willContinue` is true in all but the last, which may be an empty call.
Texts are continued by further pieces for the same path. Only Vertex AI tells calls like that, and only who asks for it gets them.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/FunctionCall
"""

import re
from itertools import pairwise
from typing import Any

import msgspec

from extproc.dialects.fields import FieldError, items, obj
from extproc.dialects.hub import Extra

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"*\s]+)|\[(?P<index>\d{1,9})\]|\['(?P<single>(?:[^'\\]|\\.)*)'\]|\["(?P<double>(?:[^"\\]|\\.)*)"\]"""
)
"""The steps of a path that leads to one place (RFC 9535, section 2.7)."""
_QUOTES = re.compile(r"""\\.|\"""")
_REQUOTED = {"\\'": "'", '"': '\\"'}
"""What a name between single quotes has otherwise between double ones, as JSON has it."""
_DEEPEST = 64
_CALL = "functionCall"

Step = str | int


class _Words:
    """A text that may go on."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


def is_piece(part: Any) -> bool:
    """Whether a part is a piece of a call, rather than a whole one."""
    call = part.get(_CALL) if type(part) is dict else None
    return type(call) is dict and ("partialArgs" in call or "willContinue" in call or not call)


class PartialCall:
    """A call, as far as it has come."""

    __slots__ = ("_arguments", "_call", "_rest")

    def __init__(self) -> None:
        self._call: Extra = {}
        self._rest: Extra = {}
        self._arguments: Extra = {}

    @property
    def begun(self) -> bool:
        """Something of it has come."""
        return bool(self._call or self._arguments)

    def follows(self, part: Extra) -> bool:
        """Whether the part may be one of this call's: another name begins another call."""
        return "name" not in part[_CALL] or not self.begun

    def add(self, part: Extra, path: str) -> bool:
        """One part. True: it was the last. Raises `FieldError` for what leads nowhere."""
        call = obj(part[_CALL], f"{path}.{_CALL}")
        path += f".{_CALL}."
        self._rest |= {name: value for name, value in part.items() if name != _CALL}
        pieces, more = call.pop("partialArgs", None), call.pop("willContinue", None)
        given = call.pop("args", None)
        if type(given) is dict:
            self._arguments |= given
        for i, piece in enumerate(items(pieces, path + "partialArgs") if pieces is not None else ()):
            self._put(obj(piece, f"{path}partialArgs[{i}]"), f"{path}partialArgs[{i}].")
        self._call |= call
        return more is not True

    def part(self) -> Extra:
        """The whole call, as a part."""
        arguments = msgspec.json.decode(msgspec.json.encode(self._arguments, enc_hook=_joined))
        return {_CALL: {**self._call, "args": arguments}, **self._rest}

    def _put(self, piece: Extra, path: str) -> None:
        steps = steps_of(piece.get("jsonPath"), path + "jsonPath")
        at: Any = self._arguments
        for step, following in pairwise(steps):
            at = _inside(at, step, [] if type(following) is int else {}, path)
        last = steps[-1]
        value = _value(piece, path)
        before = _inside(at, last, value, path)
        if type(before) is _Words and type(value) is _Words:
            if before is not value:
                before.pieces += value.pieces
        elif before is not value:
            at[last] = value


def steps_of(given: Any, path: str) -> list[Step]:
    """Names and indices of a JSON path such as `$.a.b[0]`. Raises `FieldError` where it may lead to several places, or to none."""
    steps: list[Step] = []
    place = 1
    while type(given) is str and given.startswith("$") and place < len(given):
        step = _STEP.match(given, place)
        if step is None or len(steps) == _DEEPEST:
            break
        place = step.end()
        name, index, single, double = step.group("name", "index", "single", "double")
        quoted = double if single is None else _QUOTES.sub(lambda found: _REQUOTED.get(found[0], found[0]), single)
        steps.append(int(index) if index is not None else name if name is not None else _unquoted(quoted, path))
    if type(given) is not str or not steps or place < len(given) or type(steps[0]) is int:
        raise FieldError(path, "a path to one argument", given)
    return steps


def _unquoted(text: str, path: str) -> str:
    try:
        name: str = msgspec.json.decode(f'"{text}"')
    except (msgspec.DecodeError, UnicodeError):
        raise FieldError(path, "a path with names as JSON has them", text) from None
    return name


def _inside(at: Any, step: Step, new: Any, path: str) -> Any:
    """What is there; what is `new` where nothing is. A list grows by one at a time."""
    if type(at) is dict and type(step) is str:
        return at.setdefault(step, new)
    if type(at) is list and type(step) is int and step <= len(at):
        if step == len(at):
            at.append(new)
        return at[step]
    raise FieldError(path + "jsonPath", "a path that fits those before", step)


def _value(piece: Extra, path: str) -> Any:
    if type(text := piece.get("stringValue")) is str:
        return _Words(text)
    for name, kinds in (("numberValue", (int, float)), ("boolValue", (bool,))):
        if type(value := piece.get(name)) in kinds:
            return value
    if "nullValue" in piece:
        return None
    raise FieldError(path + "stringValue", "a string, or a value of another kind", piece.get("stringValue"))


def _joined(value: Any) -> str:
    return "".join(value.pieces)
