"""YAML as Kubernetes' tools read it (sigs.k8s.io/yaml, on go-yaml): neither PyYAML's nor YAML 1.2's idea of a plain scalar.

PyYAML takes 2026-01-01 for a date and 22:22 for a number, and 1e3 for none; there they are text, text and a number. What is written is
quoted wherever any of them would take text for something else.
"""

import re
from typing import Any

import yaml

_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))
_RULES = (
    (_NULL, r"~|null|Null|NULL|", "~nN"),
    (_BOOL, r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    (_INT, r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    (_FLOAT, r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
)


class Loader(yaml.SafeLoader):
    """Reads it. Merge keys (`<<`) are taken, too."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own


class Dumper(yaml.SafeDumper):
    """Writes it: every value in full where it is used, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always: no anchors."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # NEL ends a line in YAML 1.1, and PyYAML would write it as one that is folded.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)):
        if digits.startswith(prefix) and digits != "0":
            return sign * int(digits.removeprefix(prefix), base)
    return sign * int(digits)


for _tag, _pattern, _first in _RULES:
    for _class in (Loader, Dumper):
        _class.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), [*_first] if _tag != _NULL else [*_first, ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"])
Loader.add_constructor(_INT, _integer)
Dumper.add_representer(str, _text)
