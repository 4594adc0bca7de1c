"""Checks a tree of YAML nodes against msgspec types, and finds every mistake at once.

msgspec itself stops at the first mistake and knows no lines. So `Walker.walk` goes through the types that `msgspec.inspect` describes:
what is right becomes values, what is wrong becomes a problem with its path and line, and `INVALID` takes its place (or the default,
if there is one), so that the checks that come later can still look at all the rest.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, inspect

from extproc.config.document import Mapping, Node, Scalar, Sequence
from extproc.config.nearest import hint, nearest, quoted
from extproc.config.problem import Mark, Problems
from extproc.config.references import NO_URL, PLACEHOLDER, References, Unresolved
from extproc.config.scalars import bare, fits, given, is_nothing, meaning_of, read_scalar, wanted, wrong_text

_List = inspect.VarTupleType | inspect.ListType | inspect.SetType | inspect.FrozenSetType
_LISTS: dict[type[inspect.Type], Callable[[list[Any]], Any]] = {
    inspect.VarTupleType: tuple,
    inspect.ListType: list,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}

_SECRETS = (
    "$.providers",
    "$.redis",
    "$.filters",
    "$.callers",
    "$.notifications",
    "$.store",
    "$.identities",
    "$.ledger",
    "$.egress",
    "$.envoy",
)
"""Where secrets stand. Elsewhere a reference names a place or a number, and nothing could stand in for it unnoticed."""
_URLS = (".base_url", ".proxy", ".url")
"""What paths of URLs end with that may hold a secret."""

_OPEN = ("$.envoy.",)
"""Where files hold settings, which others may read."""


class _Invalid:
    """What stands where a value is wrong."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()


def sound(value: object) -> bool:
    """False for what stands in for something wrong, which a type checker takes for the real thing."""
    return value is not INVALID


class Place(Struct, frozen=True):
    """Where a value stands, and whether it came from a reference (and so may be a secret)."""

    mark: Mark
    referred: bool = False


class Walker:
    """Reads nodes as values of types."""

    def __init__(self, problems: Problems, references: References, *, lenient: bool = False) -> None:
        self._problems = problems
        self._references = references
        self._lenient = lenient
        """True: what refers to nothing is left out in silence, because the section is."""
        self.places: dict[str, Place] = {}

    def struct(self, node: Node, type_: type[Struct], path: str) -> Any:
        """`node` as a `type_`, or INVALID."""
        described = inspect.type_info(type_)
        assert isinstance(described, inspect.StructType)
        return self._struct(node, described, path)

    def walk(self, node: Node, type_: inspect.Type, path: str) -> Any:
        """`node` as a value of `type_`, or INVALID."""
        self.places[path] = Place(node.mark)
        match bare(type_):
            case inspect.StructType() as section:
                return self._struct(node, section, path)
            case inspect.DictType() as mapping:
                return self._dict(node, mapping, path)
            case inspect.VarTupleType() | inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() as items:
                return self._list(node, items, path)
            case inspect.UnionType() as union:
                return self._union(node, union, path)
            case inspect.AnyType():
                return self._any(node, path)
            case _ if isinstance(node, Scalar):
                return self._scalar(node, type_, path)
        return self._wrong(path, node.mark, f"expected {wanted(type_)}, got {given(node)}")

    def _struct(self, node: Node, type_: inspect.StructType, path: str) -> Any:
        self.places[path] = Place(node.mark)
        if is_nothing(node):
            # `listener:` with nothing below it, or all of it commented out.
            node = Mapping(node.mark, (), 1)
        if not isinstance(node, Mapping):
            return self._wrong(path, node.mark, f"expected a section with keys, got {given(node)}")
        before = self._problems.errors
        self._faults(node, path)
        fields = {field.encode_name: field for field in type_.fields}
        values: dict[str, Any] = {}
        meant: set[str | None] = set()
        for entry in node.entries:
            key = entry.key.text
            field = fields.get(key)
            if field is None:
                meant.add(nearest(key, fields.keys() - values.keys()))
                self._wrong(child(path, key), entry.key.mark, f"unknown key {quoted(key)}" + hint(key, fields, "the keys here are"))
                continue
            value = self.walk(entry.value, field.type, child(path, key))
            if value is not INVALID:
                values[field.name] = value
            else:
                meant.add(key)
        for field in type_.fields:
            if field.required and field.name not in values:
                # A misspelt key has been told already; that it is missing as well helps nobody.
                if field.encode_name not in meant:
                    self._wrong(path, node.mark, f"the key {quoted(field.encode_name)} is missing")
                values[field.name] = INVALID
        return self._made(type_.cls, values, node.mark, path, whole=self._problems.errors == before)

    def _made(self, cls: Callable[..., Any], values: dict[str, Any], mark: Mark, path: str, *, whole: bool) -> Any:
        if not whole and hasattr(cls, "__post_init__"):
            # It would look at what stands in for a wrong value.
            return INVALID
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            # From `__post_init__`: what the types alone cannot say.
            return self._wrong(path, mark, str(error))

    def _dict(self, node: Node, type_: inspect.DictType, path: str) -> Any:
        if not isinstance(node, Mapping):
            return self._wrong(path, node.mark, f"expected a mapping of names to values, got {given(node)}")
        self._faults(node, path)
        values: dict[str, Any] = {}
        for entry in node.entries:
            key = entry.key.text
            wrong = wrong_text(key, type_.key_type)
            if wrong:
                self._wrong(child(path, key), entry.key.mark, f"the key {quoted(key)} {wrong}")
            values[key] = self.walk(entry.value, type_.value_type, child(path, key))
        self._length(len(values), type_, node.mark, path, "entries")
        return values

    def _list(self, node: Node, type_: _List, path: str) -> Any:
        if not isinstance(node, Sequence):
            tip = "; put it in brackets: `[...]`" if not is_nothing(node) and isinstance(node, Scalar) else ""
            return self._wrong(path, node.mark, f"expected a list, got {given(node)}{tip}")
        values = [self.walk(item, type_.item_type, f"{path}[{at}]") for at, item in enumerate(node.items)]
        self._length(len(values), type_, node.mark, path, "entries")
        return _LISTS[type(type_)](values)

    def _union(self, node: Node, type_: inspect.UnionType, path: str) -> Any:
        kinds = [kind for kind in type_.types if not isinstance(kind, inspect.NoneType)]
        if len(kinds) < len(type_.types) and is_nothing(node):
            return None
        if len(kinds) == 1:
            return self.walk(node, kinds[0], path)
        for kind in kinds:
            if fits(node, kind):
                return self.walk(node, kind, path)
        return self._wrong(path, node.mark, f"expected {' or '.join(map(wanted, kinds))}, got {given(node)}")

    def _any(self, node: Node, path: str) -> Any:
        if isinstance(node, Sequence):
            return [self.walk(item, inspect.AnyType(), f"{path}[{at}]") for at, item in enumerate(node.items)]
        if isinstance(node, Mapping):
            self._faults(node, path)
            return {entry.key.text: self.walk(entry.value, inspect.AnyType(), child(path, entry.key.text)) for entry in node.entries}
        # Whoever needs no secrets has no business with those either of which nobody knows but Envoy that they are some.
        as_written = path.startswith(_OPEN) and not self._references.secrets
        text = node.text if as_written else self._resolved(node, path)
        if isinstance(text, _Invalid) or not node.plain:
            return text
        return meaning_of(text)

    def _scalar(self, node: Scalar, type_: inspect.Type, path: str) -> Any:
        text = self._resolved(node, path)
        if isinstance(text, _Invalid):
            return INVALID
        try:
            return read_scalar(node, text, type_, referred=self.places[path].referred)
        except ValueError as error:
            return self._wrong(path, node.mark, str(error))

    def _resolved(self, node: Scalar, path: str) -> str | _Invalid:
        instead = NO_URL if path.endswith(_URLS) else PLACEHOLDER
        resolved = self._references.resolve(node.text, secret=path.startswith(_SECRETS), instead=instead)
        if isinstance(resolved, Unresolved):
            if not (self._lenient and resolved.missing):
                self._problems.error(path, node.mark, resolved.message)
            return INVALID
        self.places[path] = Place(node.mark, resolved.referred)
        if resolved.warning and not path.startswith(_OPEN):
            self._problems.warning(path, node.mark, resolved.warning)
        return resolved.text

    def _length(self, length: int, type_: Any, mark: Mark, path: str, what: str) -> None:
        if type_.min_length is not None and length < type_.min_length:
            self._wrong(path, mark, f"at least {type_.min_length} {what} needed, got {length}")
        if type_.max_length is not None and length > type_.max_length:
            self._wrong(path, mark, f"at most {type_.max_length} {what} allowed, got {length}")

    def _faults(self, node: Mapping, path: str) -> None:
        for fault in node.faults:
            self._problems.error(path, fault.mark, fault.message)

    def _wrong(self, path: str, mark: Mark, message: str) -> _Invalid:
        self._problems.error(path, mark, message)
        return INVALID


def child(path: str, key: str) -> str:
    """The path of `key` below `path`."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", key):
        return f"{path}.{key}"
    return f"{path}[{quoted(key)}]"
