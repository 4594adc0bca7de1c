"""JSON patches (RFC 6902), applied: the operations that we write, each as the RFC has it."""

import copy
from typing import Any


def apply(patch: list[dict[str, Any]], document: Any) -> Any:
    """The document with the patch. Raises for what could not be applied."""
    whole = {"": copy.deepcopy(document)}
    for operation in patch:
        tokens = ["", *(token.replace("~1", "/").replace("~0", "~") for token in operation["path"].split("/")[1:])]
        parent: Any = whole
        for token in tokens[:-1]:
            parent = parent[int(token) if isinstance(parent, list) else token]
        _apply(operation, parent, tokens[-1])
    return whole[""]


def _apply(operation: dict[str, Any], parent: Any, last: str) -> None:
    key: Any = int(last) if isinstance(parent, list) else last
    value = copy.deepcopy(operation.get("value"))
    match operation["op"]:
        case "add" if isinstance(parent, list):
            assert 0 <= key <= len(parent)
            parent.insert(key, value)
        case "add":
            parent[key] = value
        case "remove":
            del parent[key]
        case "replace":
            assert key < len(parent) if isinstance(parent, list) else key in parent
            parent[key] = value
        case other:
            raise AssertionError(other)
