"""What is printed: tables for people, JSON for scripts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec


def as_json(value: Any) -> str:
    """As scripts read it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def as_table(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """As people read it. Columns that say nothing are left out, but for the first two."""
    found = list(rows)
    used = [name for at, name in enumerate(columns) if at < 2 or any(row.get(name) for row in found)]
    lines = [[name.removesuffix("_at").removesuffix("_id").upper() for name in used]]
    lines += [[_cell(name, row.get(name)) for name in used] for row in found]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def as_list(thing: dict[str, Any]) -> str:
    """One thing, a line for each of what it says."""
    said = {name: value for name, value in thing.items() if value not in (None, {}, [])}
    width = max(map(len, said), default=0)
    return "\n".join(f"{name.ljust(width)}  {_cell(name, value)}" for name, value in said.items())


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "at" or name.endswith(("_at", "_until")):
        return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
