"""What stands otherwise in two files, by the path where it stands. References are told as they are written, secrets not at all."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from extproc.compared.hidden import HEADERS, HIDDEN, is_reference, url_hidden
from extproc.config.document import Mapping as MappingNode
from extproc.config.document import Node, Scalar

_LONGEST = 160
_SECRETS = frozenset({"key", "keys", "secret", "previous_secret", "access_key", "secret_key", "session_token", "credentials", "password"})
"""Keys of what is a secret, or a list of such."""
_BARE = re.compile(r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?")
"""What is no text where it stands without quotes."""
_NAMES = ("name", "to", "model")
"""Keys that tell an item of a list from others."""


class Bare(str):
    """A number or a truth value, as it is written. It is compared as text: whoever quotes it says the same."""

    __slots__ = ()


class Change(Struct, frozen=True, omit_defaults=True):
    """One of them."""

    kind: str
    """`added`, `removed`, `changed`, `moved` (in the order of a list)."""
    path: str
    before: str = ""
    after: str = ""


def plain(node: Node) -> Any:
    """A tree of texts."""
    if isinstance(node, Scalar):
        return Bare(node.text) if node.plain and _BARE.fullmatch(node.text) else node.text
    if isinstance(node, MappingNode):
        return {entry.key.text: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items]


def changes(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """All of them, in the order of the old file; what is new comes last in its section."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _members(before, after, path, ".")
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(before, after, path)
    else:
        yield Change("changed", _joined(path), told(before, path), told(after, path))


def _members(before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...], joint: str) -> Iterator[Change]:
    for name in (*before, *(one for one in after if one not in before)):
        here = (*path, f"{joint}{name}" if joint == "." else f"[{name}]")
        if name not in after:
            yield Change("removed", _joined(here), told(before[name], here))
        elif name not in before:
            yield Change("added", _joined(here), after=told(after[name], here))
        else:
            yield from changes(before[name], after[name], here)


def _items(before: list[Any], after: list[Any], path: tuple[str, ...]) -> Iterator[Change]:
    secret = path[-1][1:] in _SECRETS if path else False
    old, new = (None, None) if secret else (_named(before), _named(after))
    if old is None or new is None:
        old, new = ({str(at): one for at, one in enumerate(items)} for items in (before, after))
    yield from _members(old, new, path, "[]")
    kept = [name for name in old if name in new]
    moved = [name for name in new if name in old]
    if kept != moved:
        yield Change("moved", _joined(path), ", ".join(kept), ", ".join(moved))


def _named(items: list[Any]) -> dict[str, Any] | None:
    """By what tells them apart; None where nothing does."""
    named = {name: one for one in items if (name := _name(one))}
    return named if len(named) == len(items) else None


def _name(item: Any) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return ""
    told = next((item[name] for name in _NAMES if isinstance(item.get(name), str)), "")
    # A filter stands in the list as the only key of a section.
    return told or (next(iter(item)) if len(item) == 1 else "")


def told(value: Any, path: tuple[str, ...]) -> str:
    """A value for people, on one line, without secrets."""
    if isinstance(value, str):
        return _hidden(value, path)
    text = msgspec.json.encode(_veiled(value, path)).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _veiled(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _veiled(one, (*path, f".{name}")) for name, one in value.items()}
    if isinstance(value, list):
        return [_veiled(one, path) for one in value]
    text = _hidden(value, path)
    return msgspec.Raw(text) if isinstance(value, Bare) and text == value else text


def _hidden(text: str, path: tuple[str, ...]) -> str:
    if is_reference(text):
        return text
    keys = [one[1:] for one in path if one.startswith(".")]
    last = keys[-1] if keys else ""
    header = "set" in keys[:-1] and HEADERS.search(last) is not None
    hook = "webhooks" in keys and last == "url"
    if last in _SECRETS or header or hook:
        return HIDDEN
    return url_hidden(text)


def _joined(path: tuple[str, ...]) -> str:
    return "".join(path).removeprefix(".") or "the file"
