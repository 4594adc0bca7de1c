"""The table of settings in the chart's README, made of the comments in values.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

_KEY = re.compile(r"( *)([A-Za-z0-9]+):")
BEGIN = "<!-- settings: made of values.yaml -->\n"
END = "<!-- end of settings -->\n"


def settings(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path of each setting that has a comment with `# --`, and that comment."""
    path: list[str] = []
    said: str | None = None
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            said = bare.removeprefix("# -- ")
        elif bare.startswith("#"):
            said = None if said is None else f"{said} {bare.removeprefix('# ')}"
        elif found := _KEY.match(line):
            path[len(found[1]) // 2 :] = [found[2]]
            if said is not None:
                yield tuple(path), said
            said = None
        else:
            said = None


def default(values: dict[str, Any], path: tuple[str, ...]) -> str:
    """What a setting is unless it is given, as JSON, which is YAML."""
    found: Any = values
    for key in path:
        found = found[key]
    return json.dumps(found, ensure_ascii=False)


def table(text: str) -> str:
    """The table for the README of a chart with these values."""
    values = yaml.safe_load(text)
    lines = ["| setting | default | |", "|---|---|---|"]
    for path, said in settings(text):
        lines.append(f"| `{'.'.join(path)}` | `{default(values, path)}` | {said} |")
    return "\n".join(lines) + "\n"


def renewed(readme: str, text: str) -> str:
    """A README with the table as it has to be."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(text)}\n{END}{after}"
