"""Reads fields of a request body, and refuses those of a wrong type as the real providers do."""

from typing import Any, TypeVar

from extproc.demo.prompt import DemoError

T = TypeVar("T")

_NAMES = {dict: "an object", list: "an array", str: "a string", int: "an integer", bool: "a boolean"}


def optional(body: dict[str, Any], key: str, kind: type[T], where: str = "") -> T | None:
    """The field, or None where it is missing or null. `where` is the path of `body`, with its dot, for the error."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DemoError(400, f"{where}{key}: must be {_NAMES[kind]}", param=f"{where}{key}")
    return value


def required(body: dict[str, Any], key: str, kind: type[T], where: str = "") -> T:
    """The field, which must be there."""
    value = optional(body, key, kind, where)
    if value is None:
        raise DemoError(400, f"{where}{key}: Field required", param=f"{where}{key}")
    return value


def objects(values: list[Any], where: str) -> list[dict[str, Any]]:
    """A list whose members must all be objects."""
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise DemoError(400, f"{where}.{number}: must be an object", param=f"{where}.{number}")
    return values
