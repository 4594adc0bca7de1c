"""What the chart makes is valid, for each Kubernetes that it says it runs on."""

from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.k8s.chart.rendering import CHART, USES, Manifest, render

OLDEST = 29


def versions() -> list[str]:
    newest = int(str(kubernetes_validate.latest_version()).split(".")[1])
    return [f"1.{minor}" for minor in range(OLDEST, newest + 1)]


def is_of_kubernetes(manifest: Manifest) -> bool:
    """Not of somebody's CRD, such as a ServiceMonitor."""
    return not manifest["apiVersion"].startswith(("monitoring.coreos.com/", "cert-manager.io/", "gateway.networking.k8s.io/"))


def test_the_oldest_is_the_one_of_the_chart() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">=1.{OLDEST}.0-0"


@pytest.fixture
def schemas_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All definitions of a version are megabytes, and would be read for each manifest."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))


@pytest.mark.usefixtures("schemas_read_once")
@pytest.mark.parametrize("version", versions())
def test_manifests(version: str) -> None:
    for file in USES:
        for manifest in filter(is_of_kubernetes, render(yaml.safe_load(file.read_text()) or {})):
            assert kubernetes_validate.validate(manifest, version, strict=True) == version


@pytest.mark.parametrize("file", USES, ids=lambda path: path.stem)
def test_lint(file: Path) -> None:
    found: dict[str, Any] = helm_python.lint(str(CHART), values=yaml.safe_load(file.read_text()) or {}, strict=True, namespace="ai")
    # An icon would have to be fetched from somewhere.
    assert [one for one in found["messages"] if one["error"] != "icon is recommended"] == []
    assert found["errors"] == []


@pytest.mark.parametrize(
    ("name", "namespace"), [("headgate", "n"), ("1e3", "1e3"), ("on", "on"), ("r" * 53, "null"), ("r" * 63, "0x1f"), ("7", "a" * 63)]
)
def test_names_that_yaml_or_dns_might_not_take(name: str, namespace: str) -> None:
    given = {"extproc": {"enabled": True}, "injector": {"enabled": True}, "allowLocalState": True}
    given["config"] = {"providers": {"demo": {"dialect": "openai", "base_url": "demo:"}}, "models": [{"name": "*", "targets": ["demo"]}]}
    for manifest in render(given, name=name, namespace=namespace):
        meta = manifest["metadata"]
        assert isinstance(meta["name"], str)
        assert meta.get("namespace", namespace) == namespace
        assert all(isinstance(value, str) and len(value) <= 63 for value in meta["labels"].values())
        if manifest["kind"] == "MutatingWebhookConfiguration":
            services = {hook["clientConfig"]["service"]["namespace"] for hook in manifest["webhooks"]}
            assert services == {namespace}
        else:
            assert len(meta["name"]) <= 63
            assert meta["name"][0].isalpha()
