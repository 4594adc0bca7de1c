"""What the chart makes, kept in files: all manifests of the smallest use of each kind, and of the others what there is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.chart.rendering import USES, Manifest, render

GOLDEN = Path(__file__).with_name("golden")
WHOLE = ("edge-minimal", "extproc", "injector")


class Dumper(yaml.SafeDumper):
    """Texts of several lines as lines."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, _text)


def masked(value: Any) -> Any:
    """Without what is made anew by each rendering."""
    if isinstance(value, dict):
        return {key: "..." if key in {"caBundle", "ca.crt"} else masked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value


def shown(manifest: Manifest) -> Manifest:
    made: Manifest = masked(manifest)
    if made["kind"] == "Secret":
        made["data"] = dict.fromkeys(made["data"], "...")
    return made


def compare(file: Path, text: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    else:
        assert file.read_text() == text


@pytest.mark.parametrize("name", WHOLE)
def test_smallest(name: str, pytestconfig: pytest.Config) -> None:
    (values,) = (file for file in USES if file.stem == f"{name}-values")
    manifests = [shown(one) for one in render(yaml.safe_load(values.read_text()) or {})]
    compare(GOLDEN / f"{name}.yaml", yaml.dump_all(manifests, Dumper=Dumper, sort_keys=False, width=140), pytestconfig)


def test_what_there_is(pytestconfig: pytest.Config) -> None:
    lines = []
    for file in USES:
        lines.append(f"{file.stem.removesuffix('-values')}:\n")
        found = sorted((one["kind"], one["metadata"]["name"]) for one in render(yaml.safe_load(file.read_text()) or {}))
        lines += [f"  {kind} {name}\n" for kind, name in found]
    compare(GOLDEN / "kinds.txt", "".join(lines), pytestconfig)
