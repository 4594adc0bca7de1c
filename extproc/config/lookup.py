"""Finds a filter by its name: a module of the package `filters`, or `package.module:Class` for somebody else's.

A module holds one class that derives from `extproc.filter.Filter`; its fields are the settings. Workers import this: nothing heavy here.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeGuard

from msgspec import Struct

from extproc.config.nearest import hint, quoted
from extproc.filter import Filter

PACKAGE = "filters"
FilterType = Callable[[str], type[Struct]]
"""Finds the settings of a filter by its name. Raises LookupError with a sentence."""

_OURS = re.compile(r"[a-z][a-z0-9_]*")
_THEIRS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
# What importing somebody's module may raise that is about that module; an interrupt is not.
_BROKEN = (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, OSError, RuntimeError, ArithmeticError)


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
