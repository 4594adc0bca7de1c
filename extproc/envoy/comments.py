"""Comments inside a compiled document: why something is there, above the first place where it is.

The text is what PyYAML makes of the document: keys in the document's own order, two columns deeper with each level, lists as deep as the
key that they belong to. So a walk over the document knows each key's column, and finds its line below the one before.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from extproc.envoy.message import Plain

_STEP = 2
_WIDTH = 140
_UNSAID = "typed_config"
"""A level that is no part of paths."""

Path = tuple[str, ...]


def with_comments(text: str, document: Plain, reasons: Mapping[str, str]) -> str:
    """`text`, which is `document` as YAML, with `reasons`: each above the first key or list item whose path ends with it.

    A path's parts are keys, with slashes between them; a list item that has a name is `key[name]`, and `key` alone means any. What is said
    of a path that begins with a slash stands apart: it is a part of its own.
    """
    weaver = _Weaver(text, reasons)
    weaver.mapping(document, 0, ("",))
    return weaver.text()


class _Weaver:
    def __init__(self, text: str, reasons: Mapping[str, str]) -> None:
        self._lines = text.split("\n")
        self._at = -1
        """The line of the last key."""
        self._comments: dict[int, list[str]] = {}
        self._left: dict[str, list[tuple[Path, str]]] = {}
        """Reasons that have not been told, by the last part of their path."""
        for path, why in reasons.items():
            parts = tuple(path.split("/"))
            self._left.setdefault(parts[-1], []).append((parts, why))

    def mapping(self, value: Plain, column: int, path: Path, *, item: bool = False) -> None:
        """A mapping whose keys begin at `column`. `item`: of a list."""
        for at, (key, child) in enumerate(value.items()):
            self._at = self._line(column, dash=item and at == 0)
            below = path if key == _UNSAID else (*path, key)
            if key in self._left:
                self._tell(key, below, self._at)
            if isinstance(child, dict):
                self.mapping(child, column + _STEP, below)
            elif isinstance(child, list):
                self._list(child, column + _STEP, below)

    def _list(self, items: list[Any], column: int, path: Path) -> None:
        """A list whose items begin at `column`, behind their dashes."""
        for item in items:
            if not item or not isinstance(item, dict | list):
                self._at = self._line(column, dash=True)
            elif isinstance(item, list):
                self._list(item, column + _STEP, path)
            else:
                name = item.get("name")
                own = (*path[:-1], f"{path[-1]}[{name}]") if isinstance(name, str) else path
                if own[-1] in self._left and own is not path:
                    self._tell(own[-1], own, self._line(column, dash=True))
                self.mapping(item, column, own, item=True)

    def _line(self, column: int, *, dash: bool) -> int:
        """The next line that has a key at `column`. Lines that go on with a value are deeper than its key, or than the dash before it.
        `dash`: there is one before the key.
        """
        for at in range(self._at + 1, len(self._lines)):
            line = self._lines[at]
            if len(line) <= column or line[column] == " " or line[:column].strip(" -") or line[column:].startswith("- "):
                continue
            if not dash or line[:column].endswith("- "):
                return at
        raise ValueError(f"there is no key at column {column} behind line {self._at + 1}")

    def _tell(self, last: str, path: Path, line: int) -> None:
        found = [one for one in self._left[last] if _ends(path, one[0])]
        for one in found:
            self._left[last].remove(one)
            self._comments.setdefault(line, []).extend(["", *one[1].split("\n")] if not one[0][0] else [one[1]])

    def text(self) -> str:
        """The text with its comments."""
        lines: list[str] = []
        for at, line in enumerate(self._lines):
            margin = " " * (len(line) - len(line.lstrip(" "))) + "# "
            for why in self._comments.get(at, ()):
                lines += textwrap.wrap(
                    why, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
                ) or [""]
            lines.append(line)
        return "\n".join(lines)


def _ends(path: Path, end: Path) -> bool:
    """Whether `path` ends with `end`; what names no item is any of them."""
    parts = path[-len(end) :]
    return len(parts) == len(end) and all(one in (part, part.partition("[")[0]) for part, one in zip(parts, end, strict=True))
