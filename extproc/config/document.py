"""From the bytes of a YAML file to a tree of nodes that know their places.

The tree is built from parser events and not by PyYAML's composer, because that one is recursive (a deep document overflows the C
stack), keeps duplicate keys and expands aliases without a bound. Scalars stay text: what they mean depends on what is wanted.
"""

import stat
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from extproc.config.nearest import quoted
from extproc.config.problem import Mark, Problems

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 500_000

# Both speak the same events; the one in C is some ten times as fast.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOWHERE = Mark()
_BOMS = (b"\xff\xfe", b"\xfe\xff")


class Scalar(Struct, frozen=True):
    """A single value, as written."""

    mark: Mark
    text: str
    plain: bool
    """False if it was quoted, and so is a string whatever it looks like."""
    nodes: int = 1


class Sequence(Struct, frozen=True):
    """A list."""

    mark: Mark
    items: "tuple[Node, ...]"
    nodes: int
    """How many nodes it has with all aliases expanded, itself included."""


class Entry(Struct, frozen=True):
    """One key of a mapping and its value."""

    key: Scalar
    value: "Node"


class Fault(Struct, frozen=True):
    """A key that cannot stay, and why."""

    mark: Mark
    message: str


class Mapping(Struct, frozen=True):
    """Keys and values; no key twice."""

    mark: Mark
    entries: tuple[Entry, ...]
    nodes: int
    faults: tuple[Fault, ...] = ()
    """Keys that were refused. Told by whoever knows the path."""

    def get(self, key: str) -> "Node | None":
        """The value of `key`."""
        return next((entry.value for entry in self.entries if entry.key.text == key), None)

    def without(self, *keys: str) -> "Mapping":
        """The same without some keys."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.key.text not in keys))


Node = Scalar | Sequence | Mapping


class _Unreadable(Exception):
    def __init__(self, message: str, mark: Mark = _NOWHERE) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


def read_document(path: Path, problems: Problems) -> Node | None:
    """The tree of the file at `path`; None, and why in `problems`, if there is none to be had."""
    try:
        text = _read(path)
    except _Unreadable as unreadable:
        problems.error("$", unreadable.mark, unreadable.message)
        return None
    return parse_document(text, problems)


def parse_document(text: str, problems: Problems) -> Node | None:
    """The tree of a YAML document; None, and why in `problems`, if it has none."""
    try:
        root = _Builder().build(text)
    except _Unreadable as unreadable:
        problems.error("$", unreadable.mark, unreadable.message)
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark()
        problems.error("$", place, _explained(error, text, place))
        return None
    except yaml.reader.ReaderError as error:
        lines = text[: error.position].split("\n")
        place = Mark(len(lines), len(lines[-1]) + 1)
        problems.error("$", place, "the file holds a control character here; take it out")
        return None
    if root is None:
        problems.error("$", Mark(), "the file is empty; it needs `providers` and `models` at least, as in examples/quickstart.yaml")
    return root


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _Unreadable("this is a folder; name the configuration file in it")
        # A FIFO would make us wait for its writer.
        if not stat.S_ISREG(status.st_mode):
            raise _Unreadable("this is not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _Unreadable("there is no such file") from None
    except (OSError, ValueError) as error:
        raise _Unreadable(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise _Unreadable(f"the file is larger than {MAX_BYTES // 1024**2} MiB; that is no configuration")
    if content.startswith(_BOMS):
        raise _Unreadable("the file is in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        mark = Mark(before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise _Unreadable("the file is not in UTF-8 from here on; save it as UTF-8", mark) from None


def _explained(error: yaml.MarkedYAMLError, text: str, place: Mark) -> str:
    problem = error.problem or "something is wrong"
    lines = text.split("\n")
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    here = line[place.column - 1 : place.column]
    if "cannot start any token" in problem:
        if here == "\t" or "\t" in line[: place.column]:
            return "a tab cannot indent in YAML; use spaces"
        return f"a value cannot begin with {quoted(here)}; put it in quotes"
    if "mapping values are not allowed" in problem:
        return "a `: ` is not expected here; put a value that holds one in quotes, or look at the indentation"
    if "unexpected end of stream" in problem:
        return "the file ends inside quotes; close them"
    if "did not find expected key" in problem or "expected <block end>" in problem:
        return "this line is indented neither like the one before nor like its parent, or a quote or bracket above is not closed"
    if "did not find expected ',' or" in problem or "did not find expected node content" in problem:
        return "a bracket is not closed, or one too many is"
    return f"this is not YAML: {problem}" + (f" ({error.context})" if error.context else "")


class _Open:
    """A list or mapping whose end has not come yet."""

    def __init__(self, mark: Mark, mapping: bool, anchor: str | None) -> None:
        self.mark = mark
        self.mapping = mapping
        self.anchor = anchor
        self.children: list[Node] = []
        self.nodes = 1


class _Builder:
    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None

    def build(self, text: str) -> Node | None:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark is not None else _NOWHERE
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise _Unreadable("a second document begins here (`---`); a configuration is one document", mark)
                case yaml.ScalarEvent():
                    self._scalar(event, mark)
                case yaml.AliasEvent():
                    self._alias(event.anchor or "", mark)
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    _refuse_tag(event.tag, mark)
                    if len(self._stack) >= MAX_DEPTH:
                        raise _Unreadable(f"nested more than {MAX_DEPTH} levels deep", mark)
                    self._stack.append(_Open(mark, isinstance(event, yaml.MappingStartEvent), event.anchor))
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._close()
        return self._root

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        if event.tag != "tag:yaml.org,2002:str":
            _refuse_tag(event.tag, mark)
        self._add(Scalar(mark, event.value, plain=not event.style and event.tag is None), event.anchor)

    def _alias(self, name: str, mark: Mark) -> None:
        node = self._anchors.get(name)
        if node is None:
            if any(opened.anchor == name for opened in self._stack):
                raise _Unreadable(f"the alias *{quoted(name)[1:-1]} stands inside what it means", mark)
            raise _Unreadable(f"the alias *{quoted(name)[1:-1]} means nothing: no &{quoted(name)[1:-1]} comes before it", mark)
        self._add(replace(node, mark=mark), None)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.children.append(node)
        parent.nodes += node.nodes
        if parent.nodes > MAX_NODES:
            raise _Unreadable(f"more than {MAX_NODES:,} values, aliases expanded", parent.mark)

    def _close(self) -> None:
        opened = self._stack.pop()
        if opened.mapping:
            self._add(_mapping(opened), opened.anchor)
        else:
            self._add(Sequence(opened.mark, tuple(opened.children), opened.nodes), opened.anchor)


def _mapping(opened: _Open) -> Mapping:
    entries: dict[str, Entry] = {}
    merged: list[Entry] = []
    faults: list[Fault] = []
    pairs = iter(opened.children)
    for key, value in zip(pairs, pairs, strict=True):
        if isinstance(key, Scalar) and key.plain and key.text == "<<":
            merged += _merged(value, faults)
        elif (fault := _key_fault(key, entries)) is not None:
            faults.append(Fault(key.mark, fault))
        elif isinstance(key, Scalar):
            entries[key.text] = Entry(key, value)
    for entry in merged:
        entries.setdefault(entry.key.text, entry)
    return Mapping(opened.mark, tuple(entries.values()), opened.nodes, tuple(faults))


def _key_fault(key: Node, entries: dict[str, Entry]) -> str | None:
    if not isinstance(key, Scalar):
        return "a key has to be a name, not a list or a mapping"
    if key.plain and is_null(key.text):
        return "a key is missing before the `:`"
    if key.plain and boolean(key.text) is not None:
        return f"the key {key.text} is no name; put it in quotes if it is meant as one"
    if key.text in entries:
        return f"the key {quoted(key.text)} is here twice; line {entries[key.text].key.mark.line} has it already"
    return None


def _merged(value: Node, faults: list[Fault]) -> list[Entry]:
    """What `<<: *defaults` or `<<: [*a, *b]` brings in."""
    entries: list[Entry] = []
    for source in value.items if isinstance(value, Sequence) else (value,):
        if isinstance(source, Mapping):
            entries += source.entries
        else:
            faults.append(Fault(source.mark, "`<<` takes a mapping, or a list of mappings"))
    return entries


def _refuse_tag(tag: str | None, mark: Mark) -> None:
    if tag not in (None, "!"):
        raise _Unreadable(f"the tag {quoted(tag or '')} is not known here; leave it out", mark)


def is_null(text: str) -> bool:
    """Whether an unquoted scalar says "nothing"."""
    return text in ("", "~", "null", "Null", "NULL")


def boolean(text: str) -> bool | None:
    """What an unquoted scalar says, if it is a truth value."""
    if text in ("true", "True", "TRUE"):
        return True
    return False if text in ("false", "False", "FALSE") else None
