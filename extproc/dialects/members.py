"""The members at the top of a JSON object, in their order, with none lost: of two with the same name both are there.

JSON says nothing of names that come twice (RFC 8259, section 4). Most parsers believe the last, some the first, and those that do not
tell `Model` from `model` (Go's, ASP.NET's) take either. What decides on one and passes another on has been talked round.
"""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import msgspec

from extproc.errors import Reject


class Name(str):
    """A member's name. No two are equal, so that a dict keeps all of them."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


MOST = 1000
"""Members at the top of a large object that are taken: each costs us an object, and callers may send millions. No API knows a hundred."""


class _Names:
    """Makes names, and stops where there are too many."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0

    def __call__(self, kind: type, name: str) -> Name:
        self.left -= 1
        if self.left < 0:
            raise Reject(400, "invalid_request", f"The request has more than {MOST} members at its top.")
        return Name(name)


_SMALL = 16 * 1024
"""Bytes that hold so few members that nobody waits long for them: some milliseconds."""
_names = _Names()
# What makes a name without a frame of Python's is a type's own call.
_few: Callable[[type, Any], Any] = type.__call__
_raw, _raw_small = (msgspec.json.Decoder(dict[Name, msgspec.Raw], dec_hook=make).decode for make in (_names, _few))
_decoded, _decoded_small = (msgspec.json.Decoder(dict[Name, Any], dec_hook=make).decode for make in (_names, _few))


def raw_members(body: bytes) -> dict[Name, msgspec.Raw]:
    """The JSON text of each member's value, undecoded. Raises as msgspec does, and `Reject` 400 for more than `MOST` of a large body."""
    if len(body) <= _SMALL:
        return _raw_small(body)
    _names.left = MOST
    return _raw(body)


def decoded_members(body: bytes) -> dict[Name, Any]:
    """Each member's value, decoded. Raises as `raw_members` does."""
    if len(body) <= _SMALL:
        return _decoded_small(body)
    _names.left = MOST
    return _decoded(body)


_SPELLINGS = frozenset(map("".join, product(*((letter, letter.upper()) for letter in "model")))) - {"model"}


def by_name(members: dict[Name, Any]) -> dict[str, Any]:
    """By plain names; of two the last counts."""
    return dict(zip(map(str, members), members.values(), strict=True))


def other_model(members: dict[Name, Any], found: dict[str, Any]) -> str | None:
    """The name of a second member that some parser takes for `model`, and which says something else; None where there is none.

    `found`: the same members `by_name`. Go takes `Model` for `model`, see https://pkg.go.dev/encoding/json#Unmarshal
    """
    if len(found) == len(members) and _SPELLINGS.isdisjoint(found):
        return None
    said = [(str(name), value) for name, value in members.items() if name.lower() == "model"]
    return None if len(said) < 2 else _differing(said)


def _differing(said: Iterable[tuple[str, Any]]) -> str | None:
    texts = [(name, msgspec.json.decode(value) if type(value) is msgspec.Raw else value) for name, value in said]
    last = texts[-1][1]
    other = [name for name, value in texts if value != last or name != "model"]
    return next((name for name in other if name != "model"), "model") if other else None
