"""What a command prints: tables for people, JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.identity.settings import NOTHING, Settings
from extproc.identity.written import shown
from extproc.keys import PREFIX

if TYPE_CHECKING:
    from extproc.store.models import Entity

_HIDDEN = {"digest", "previous_digest"}
_TIMES = "_at"


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Rows of equal length, the first of which are the headings. Columns in which nothing stands are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:]) or len(rows) == 1]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: object) -> None:
    """One document, indented."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_fields(fields: Mapping[str, Any]) -> None:
    """One thing, a line for each of its fields that says something."""
    told = {name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in fields.items() if value}
    width = max(map(len, told), default=0)
    for name, value in told.items():
        print(f"{name.ljust(width)}  {value}")


def public(entity: "Entity") -> dict[str, Any]:
    """An entity as a document, without what is stored of a secret. Times are RFC 3339."""
    found: dict[str, Any] = {}
    for column in entity.__table__.columns:
        if column.key not in _HIDDEN:
            value = getattr(entity, column.key)
            if column.key == "prefix":
                value = prefixed(value) or None
            found[column.key] = moment(value) if column.key.endswith((_TIMES, "_until")) and value is not None else value
    return {name: value for name, value in msgspec.to_builtins(found).items() if value not in (None, {}, [])}


def prefixed(beginning: str | None) -> str:
    """How a key begins, as whoever holds it sees it; empty where that is not known."""
    return f"{PREFIX}{beginning}" if beginning else ""


def moment(milliseconds: int) -> str:
    """A time, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bounds(settings: Settings) -> str:
    """What is set, in one line."""
    if settings == NOTHING:
        return ""
    lists = {name: getattr(settings, name) for name in ("models", "providers", "endpoints", "networks")}
    parts = [f"{name}: {_listed(names)}" for name, names in lists.items() if names is not None]
    parts += [shown(one) for one in settings.limits]
    parts += [f"{name}={value}" for name, value in settings.tags.items()]
    parts += [f"cost centre {settings.cost_centre}"] if settings.cost_centre else []
    parts += [f"guardrails: {_listed(settings.guardrails)}"] if settings.guardrails else []
    return "; ".join(parts)


def _listed(names: Iterable[str]) -> str:
    return ",".join(names) or "none"
