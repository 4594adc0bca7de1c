"""The two spellings of a field in proto JSON, and the other liberties that Google's parser leaves its clients.

A field may be written in lowerCamelCase or as the proto has it, in snake_case (https://protobuf.dev/programming-guides/json/), and a single
object may stand where a list is meant. All are read; what only this dialect needs to write a request as it was stays in `Fields`, aside
from the members themselves, so that no other dialect takes it for something that the client asked for.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from extproc.dialects.fields import FieldError

_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


class Fields(dict[str, Any]):
    """The members of an object that the hub has no word for, by their camelCase names."""

    __slots__ = ("names", "own")

    def __init__(self, given: Iterable[tuple[str, Any]] | dict[str, Any] = (), names: dict[str, str] | None = None, **own: Any) -> None:
        if given:  # most have nothing
            self.update(given)
        self.names: dict[str, str] = {} if names is None else names
        """Members of the object, and of those right inside it, that were written in snake_case: by their camelCase names."""
        self.own: dict[str, Any] = own
        """How this dialect wrote what the hub says in another way."""


def own(extra: dict[str, Any], key: str, default: Any = None) -> Any:
    """What a reader of this dialect noted beside `extra`."""
    return extra.own.get(key, default) if type(extra) is Fields else default


def note(extra: dict[str, Any], **noted: Any) -> Fields:
    """`extra` with notes."""
    kept = extra if type(extra) is Fields else Fields(extra)
    kept.own.update(noted)
    return kept


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """The name in camelCase, if it is in snake_case."""
    if not _SNAKE.fullmatch(name):
        return name
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def members(value: Any, path: str, names: dict[str, str]) -> dict[str, Any]:
    """A copy of an object, its members in camelCase; those that were not are added to `names`."""
    if type(value) is not dict:
        raise FieldError(path, "an object", value)
    if "_" not in "".join(value):
        return value.copy()
    copy: dict[str, Any] = {}
    for key, member in value.items():
        known = camel(key)
        if known != key and known not in value and names.get(known, key) == key:
            names[known] = key
            copy[known] = member
        else:
            copy[key] = member
    return copy


def spelled(value: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """An object with its members as they were written."""
    return {names.get(key, key): member for key, member in value.items()} if names else value


def several(value: Any, path: str) -> tuple[list[Any], bool]:
    """A list; or an object, which stands for a list of one. Whether it was one."""
    if type(value) is dict:
        return [value], True
    if type(value) is not list:
        raise FieldError(path, "a list", value)
    return value, False
