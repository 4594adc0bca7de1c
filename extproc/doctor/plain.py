"""Reading of configuration as Envoy's admin port tells it: JSON, in which whatever has its default is left out."""

from collections.abc import Iterator
from typing import Any

Plain = dict[str, Any]


def dig(node: Any, *path: str) -> Any:
    """What stands there; None where nothing does."""
    for key in path:
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def seconds(value: Any, default: float) -> float:
    """A duration, which is text such as `0.250s`."""
    return float(value.removesuffix("s")) if isinstance(value, str) else default


def typed_within(node: Any, name: str) -> Iterator[Plain]:
    """All messages of a type that are packed into this one, however deep: filters are, into composite ones."""
    if isinstance(node, dict):
        if is_a(node, name):
            yield node
        for inner in node.values():
            yield from typed_within(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from typed_within(inner, name)


def is_a(node: Any, name: str) -> bool:
    """Whether a packed message is of the type, whatever its package."""
    kind = dig(node, "@type")
    return isinstance(kind, str) and kind.rpartition("/")[2].rpartition(".")[2] == name
