"""The members at the top of a JSON object, in their order, with none lost: of two with the same name both are there.

JSON says nothing of names that come twice (RFC 8259, section 4). Most parsers believe the last, some the first, and those that do not
tell `Model` from `model` (Go's, ASP.NET's) take either. What decides on one and passes another on has been talked round.
"""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import msgspec


class Name(str):
    """A member's name. No two are equal, so that a dict keeps all of them."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


# Called with a type and what it is to be made of; which is what a type's own call does, without a frame of Python's.
_make: Callable[[type, Any], Any] = type.__call__

raw_members = msgspec.json.Decoder(dict[Name, msgspec.Raw], dec_hook=_make).decode
"""The JSON text of each member's value, undecoded."""
decoded_members = msgspec.json.Decoder(dict[Name, Any], dec_hook=_make).decode
"""Each member's value, decoded. Both raise as msgspec does."""

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
