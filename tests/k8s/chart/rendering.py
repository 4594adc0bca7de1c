"""The chart, rendered by Helm itself, without a cluster."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

CHART = Path(__file__).parents[3] / "k8s" / "chart"
USES = sorted((CHART / "ci").glob("*-values.yaml"))
"""Values that the chart is tried with, a file for each kind of use."""

Manifest = dict[str, Any]


@cache
def chart() -> Any:
    return Chart.load(str(CHART))


def values(name: str) -> dict[str, Any]:
    """Those of `ci/NAME-values.yaml`."""
    found: dict[str, Any] = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()) or {}
    return found


def render(given: Mapping[str, Any], *, name: str = "headgate", namespace: str = "ai") -> list[Manifest]:
    """All manifests. Raises `HelmRenderError` for what the templates refuse, and `HelmValuesError` for what the schema does."""
    files = chart().render(dict(given), name=name, namespace=namespace)
    texts = (text for path, text in sorted(files.items()) if not path.endswith("NOTES.txt"))
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def notes(given: Mapping[str, Any]) -> str:
    """What is told after an installation."""
    told: str = chart().render(dict(given), name="headgate", namespace="ai")["headgate/templates/NOTES.txt"]
    return told


def named(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only one of a kind, or of a kind and name."""
    (found,) = (one for one in manifests if one["kind"] == kind and name in (None, one["metadata"]["name"]))
    return found


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Values as several `--values` would make them."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result
