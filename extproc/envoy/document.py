"""A compiled document as YAML: the same bytes for the same document, in an order and with comments for people."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from extproc.envoy.comments import with_comments
from extproc.envoy.message import Plain

# libyaml's writes the same bytes seven times as fast, where PyYAML has been built with it, as its wheels are.
_SAFE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SAFE):  # type: ignore[misc]  # which of the two it is, mypy cannot follow
    """Writes every value in full where it is used, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(document: Plain, *, header: str = "", notes: Mapping[str, str] | None = None, reasons: Mapping[str, str] | None = None) -> str:
    """The document with a comment above it, `notes` above its top-level keys, and `reasons` inside it, each at the first path that ends
    with it (see `with_comments`).
    """
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    said = {f"/{key}": note for key, note in (notes or {}).items()} | dict(reasons or {})
    return comment(header) + (with_comments(text, document, said) if said else text)


def replace(path: Path, text: str) -> None:
    """Write a file that Envoy watches: it notices nothing but a rename. It may hold credentials, so nobody else can read it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        file.write(text)
    fresh.replace(path)


def comment(text: str) -> str:
    """The lines of a text as comments."""
    return "".join(f"# {line}\n" for line in text.splitlines())
