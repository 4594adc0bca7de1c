"""The `filters` section: which filters there are, and what each may be told.

A name is a module of the package `filters` (`cache` is `filters/cache.py`), or `package.module:Class` for somebody else's. A module
holds one class that derives from `extproc.filter.Filter`; its fields are the settings.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeGuard

from msgspec import Struct

from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.model import DEFAULT_FILTERS
from extproc.config.nearest import hint, quoted
from extproc.config.problem import Mark, Problems
from extproc.config.walk import INVALID, Walker, child
from extproc.filter import Filter

PACKAGE = "filters"
FilterType = Callable[[str], type[Struct]]
"""Finds the settings of a filter by its name. Raises LookupError with a sentence."""

_OURS = re.compile(r"[a-z][a-z0-9_]*")
_THEIRS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
# What importing somebody's module may raise that is about that module; an interrupt is not.
_BROKEN = (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, OSError, RuntimeError, ArithmeticError)


class Setting(Struct, frozen=True):
    """One filter of the list, as far as it could be read."""

    name: str
    path: str
    settings: Any
    """A struct, or INVALID."""


def filter_type(name: str) -> type[Filter]:
    """The settings of the filter `name`. Raises LookupError with a sentence."""
    if ":" in name:
        return _theirs(name)
    if not _OURS.fullmatch(name) or find_spec(f"{PACKAGE}.{name}") is None:
        raise LookupError(f"there is no filter {quoted(name)}" + hint(name, filter_names(), "the filters are"))
    module = _imported(f"{PACKAGE}.{name}")
    found = [value for value in vars(module).values() if _is_filter(value) and value.__module__ == module.__name__]
    public = [cls for cls in found if not cls.__name__.startswith("_")]
    if len(public) != 1:
        raise LookupError(f"{module.__name__} has to hold one class that derives from Filter, and holds {len(public)}")
    return public[0]


def filter_names() -> list[str]:
    """The names of our own filters."""
    package = _imported(PACKAGE)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


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
    for first, then in (("auth", ("route", "headers", "cache")), ("route", ("headers", "cache"))):
        if setting.name in then and first in names and first not in seen:
            problems.error(setting.path, mark, f"the filter {quoted(setting.name)} has to come after {quoted(first)}")


def _theirs(name: str) -> type[Filter]:
    module_name, _, class_name = name.partition(":")
    if not _THEIRS.fullmatch(name):
        raise LookupError(f"{quoted(name)} is not the name of a filter; somebody else's is written `package.module:Class`")
    found = getattr(_imported(module_name), class_name, None)
    if not _is_filter(found):
        raise LookupError(f"{quoted(class_name)} in {module_name} is not a class that derives from extproc.filter.Filter")
    return found


def _is_filter(value: Any) -> TypeGuard[type[Filter]]:
    return isinstance(value, type) and issubclass(value, Filter) and value is not Filter


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LookupError(f"the Python module {error.name} is not installed") from error
    except _BROKEN as error:
        raise LookupError(f"the Python module {name} cannot be imported: {type(error).__name__}: {error}") from error
