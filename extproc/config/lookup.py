"""Finds a filter, or a strategy, by its name: a module of `filters`, or of `extproc.strategies`; or `package.module:Class` for somebody
else's.

A module holds one class that derives from `Filter`, or `Strategy`; its fields are the settings. Workers import this: nothing heavy here.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Generic, TypeGuard, TypeVar

from msgspec import Struct

from extproc.config.nearest import hint, quoted
from extproc.filter import Filter
from extproc.strategy import Strategy

FilterType = Callable[[str], type[Struct]]
"""Finds the settings of a filter by its name. Raises LookupError with a sentence."""

_OURS = re.compile(r"[a-z][a-z0-9_]*")
_THEIRS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
# What importing somebody's module may raise that is about that module; an interrupt is not.
_BROKEN = (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, OSError, RuntimeError, ArithmeticError)

_Base = TypeVar("_Base", bound=Struct)


class Named(Generic[_Base]):
    """All of one kind that the configuration may name."""

    def __init__(self, package: str, base: type[_Base], what: str) -> None:
        """`what` they are, for messages: `filter`, and more of them `filters`."""
        self._package = package
        self._base = base
        self._what = what
        self._more = f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"

    def find(self, name: str) -> type[_Base]:
        """The settings of the one called `name`. Raises LookupError with a sentence."""
        if ":" in name:
            return self._theirs(name)
        if not _OURS.fullmatch(name) or find_spec(f"{self._package}.{name}") is None:
            raise LookupError(f"there is no {self._what} {quoted(name)}" + hint(name, self.names(), f"the {self._more} are"))
        module = _imported(f"{self._package}.{name}")
        found = [value for value in vars(module).values() if self._is_one(value) and value.__module__ == module.__name__]
        public = [cls for cls in found if not cls.__name__.startswith("_")]
        if len(public) != 1:
            raise LookupError(f"{module.__name__} has to hold one class that derives from {self._base.__name__}, and holds {len(public)}")
        return public[0]

    def names(self) -> list[str]:
        """The names of our own."""
        package = _imported(self._package)
        return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))

    def _theirs(self, name: str) -> type[_Base]:
        module_name, _, class_name = name.partition(":")
        if not _THEIRS.fullmatch(name):
            raise LookupError(f"{quoted(name)} is not the name of a {self._what}; somebody else's is written `package.module:Class`")
        found = getattr(_imported(module_name), class_name, None)
        if not self._is_one(found):
            base = f"{self._base.__module__}.{self._base.__name__}"
            raise LookupError(f"{quoted(class_name)} in {module_name} is not a class that derives from {base}")
        return found

    def _is_one(self, value: Any) -> TypeGuard[type[_Base]]:
        return isinstance(value, type) and issubclass(value, self._base) and value is not self._base


FILTERS = Named("filters", Filter, "filter")
STRATEGIES = Named("extproc.strategies", Strategy, "strategy")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LookupError(f"the Python module {error.name} is not installed") from error
    except _BROKEN as error:
        raise LookupError(f"the Python module {name} cannot be imported: {type(error).__name__}: {error}") from error
