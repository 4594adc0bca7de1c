"""The difference of two JSON values as a JSON patch (RFC 6902)."""

from collections.abc import Iterator
from typing import Any

Operation = dict[str, Any]


def difference(before: Any, after: Any, path: str = "") -> Iterator[Operation]:
    """Operations that make `before` into `after`, in their order; none if they are the same. `path`: JSON pointer of where they stand."""
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_arrays(before, after, path)
    elif not _same(before, after):
        yield {"op": "replace", "path": path, "value": after}


def _of_objects(before: dict[str, Any], after: dict[str, Any], path: str) -> Iterator[Operation]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": _below(path, key)}
    for key, value in after.items():
        if key in before:
            yield from difference(before[key], value, _below(path, key))
        else:
            yield {"op": "add", "path": _below(path, key), "value": value}


def _of_arrays(before: list[Any], after: list[Any], path: str) -> Iterator[Operation]:
    """Items that are the same, or have the same name, from the beginning and from the end change in place; those between go and come."""
    start = _kin(before, after)
    end = _kin(before[start:][::-1], after[start:][::-1])
    for at in range(start):
        yield from difference(before[at], after[at], f"{path}/{at}")
    for at in range(len(before) - end - 1, start - 1, -1):
        yield {"op": "remove", "path": f"{path}/{at}"}
    for at in range(start, len(after) - end):
        yield {"op": "add", "path": f"{path}/{at}", "value": after[at]}
    for at in range(len(after) - end, len(after)):
        yield from difference(before[at + len(before) - len(after)], after[at], f"{path}/{at}")


def _kin(one: list[Any], other: list[Any]) -> int:
    """How many items go together from the beginning."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if not _akin(left, right)), min(len(one), len(other)))


def _akin(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict) and "name" in one and "name" in other:
        return _same(one["name"], other["name"])
    return _same(one, other)


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: true is no 1, as it is in Python."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _below(path: str, key: str) -> str:
    # RFC 6901, section 3.
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
