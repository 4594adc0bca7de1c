"""Pods with their sidecars are what Kubernetes' own schemas say that pods are, in each version that has native sidecars."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

GOLDEN = Path(__file__).parents[1] / "injector" / "golden"
OLDEST = 29


def versions() -> list[str]:
    newest = int(str(kubernetes_validate.latest_version()).split(".")[1])
    return [f"1.{minor}" for minor in range(OLDEST, newest + 1)]


def injected() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(GOLDEN.glob("*.yaml")):
        text = path.read_text().split("\n----------\n")[2]
        made = None if text.startswith("refused: ") else yaml.safe_load(text)
        if isinstance(made, dict) and "spec" in made:
            yield path.stem, made


@pytest.fixture(autouse=True)
def schemas_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All definitions of a version are megabytes, and would be read for each pod."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))


@pytest.mark.parametrize("version", versions())
def test_pods_are_valid(version: str) -> None:
    pods = list(injected())
    assert len(pods) >= 8
    for name, pod in pods:
        assert kubernetes_validate.validate(pod, version, strict=True) == version, name


def test_before_native_sidecars_a_schema_knows_none() -> None:
    pods = dict(injected())
    kubernetes_validate.validate(pods["classic"], "1.27", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolicy"):
        kubernetes_validate.validate(pods["native"], "1.27", strict=True)
