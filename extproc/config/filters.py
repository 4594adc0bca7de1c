"""The `filters` section: which filters there are, and what each may be told.

Which names there are, and what they mean, is the business of `lookup.py`.
"""

from typing import Any

from msgspec import Struct

from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.lookup import FilterType
from extproc.config.model import DEFAULT_FILTERS
from extproc.config.nearest import quoted
from extproc.config.problem import Mark, Problems
from extproc.config.walk import INVALID, Walker, child

_ORDER = (
    ("auth", ("load", "route", "conversations", "headers", "cache", "limits")),
    ("route", ("conversations", "headers", "cache", "limits")),
    ("conversations", ("cache", "limits")),
    ("cache", ("limits",)),
)
"""Filters, and which of the others may stand behind them only."""


class Setting(Struct, frozen=True):
    """One filter of the list, as far as it could be read."""

    name: str
    path: str
    settings: Any
    """A struct, or INVALID."""


def read_filters(node: Node | None, walker: Walker, problems: Problems, find: FilterType) -> list[Setting]:
    """The filters that `node` lists, in order; all mistakes go to `problems`."""
    if node is None:
        node = _default()
    if not isinstance(node, Sequence):
        problems.error("$.filters", node.mark, "expected a list of filters, each like `- cache: {ttl: 600}`")
        return []
    found: list[Setting] = []
    for at, item in enumerate(node.items):
        setting = _read(item, f"$.filters[{at}]", walker, problems, find)
        if setting is not None:
            found.append(setting)
    _check_order(found, node, problems, walker)
    return found


def _default() -> Sequence:
    nowhere = Mark()
    empty = Mapping(nowhere, (), 1)
    items = (Mapping(nowhere, (Entry(Scalar(nowhere, name, True), empty),), 1) for name in DEFAULT_FILTERS)
    return Sequence(nowhere, tuple(items), 1)


def _read(item: Node, path: str, walker: Walker, problems: Problems, find: FilterType) -> Setting | None:
    if isinstance(item, Scalar):
        problems.error(
            path, item.mark, f"expected a filter with its settings; with none, write `- {item.text[:40].strip()}:`, colon included"
        )
        return None
    for fault in item.faults if isinstance(item, Mapping) else ():
        problems.error(path, fault.mark, fault.message)
    if not isinstance(item, Mapping) or len(item.entries) != 1:
        got = f"{len(item.entries)} keys" if isinstance(item, Mapping) else "a list"
        problems.error(path, item.mark, f"expected one filter's name and its settings, got {got}; each filter is its own entry of the list")
        return None
    entry = item.entries[0]
    name = entry.key.text
    below = child(path, name)
    try:
        settings = walker.struct(entry.value, find(name), below)
    except LookupError as error:
        problems.error(below, entry.key.mark, str(error))
        settings = INVALID
    return Setting(name, below, settings)


def _check_order(found: list[Setting], node: Sequence, problems: Problems, walker: Walker) -> None:
    names = [setting.name for setting in found]
    for name in ("auth", "route"):
        # Nobody gets a gateway without authentication by leaving a line out.
        if name not in names:
            problems.error("$.filters", node.mark, f"the filter {quoted(name)} is missing; add `- {name}:`")
    late: str | None = None
    seen: set[str] = set()
    for setting in found:
        mark = walker.places[setting.path].mark if setting.path in walker.places else node.mark
        if setting.name in seen and ":" not in setting.name:
            problems.error(setting.path, mark, f"the filter {quoted(setting.name)} is here twice; put its settings together")
        _check_after(setting, names, seen, mark, problems)
        seen.add(setting.name)
        if setting.settings is INVALID:
            continue
        if not getattr(setting.settings, "early", False):
            late = late or setting.name
        elif late is not None:
            before = f"move it before {quoted(late)}"
            problems.error(setting.path, mark, f"the filter {quoted(setting.name)} runs before the body is read; {before}")


def _check_after(setting: Setting, names: list[str], seen: set[str], mark: Mark, problems: Problems) -> None:
    """What answers or spends has to come after what decides whether it may, and where it goes."""
    for first, then in _ORDER:
        if setting.name in then and first in names and first not in seen:
            problems.error(setting.path, mark, f"the filter {quoted(setting.name)} has to come after {quoted(first)}")
