"""What the chart makes is valid, for each Kubernetes that it says it runs on."""

from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from extproc.version import VERSION
from tests.k8s.chart.rendering import CHART, USES, Manifest, named, render, values
from tests.k8s.chart.schemas import faults, newest

OLDEST = 29


def versions() -> list[str]:
    return [f"1.{minor}" for minor in range(OLDEST, newest() + 1)]


def is_of_kubernetes(manifest: Manifest) -> bool:
    """Not of somebody's CRD, such as a ServiceMonitor."""
    return not manifest["apiVersion"].startswith(("monitoring.coreos.com/", "cert-manager.io/", "gateway.networking.k8s.io/"))


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """All of all uses."""
    made = [manifest for file in USES for manifest in render(yaml.safe_load(file.read_text()) or {})]
    return list(filter(is_of_kubernetes, made))


def test_the_chart_says_which_kubernetes_and_which_headgate_it_is_for() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["kubeVersion"], chart["appVersion"]) == (f">=1.{OLDEST}.0-0", VERSION)


@pytest.mark.parametrize("version", versions())
def test_manifests(version: str, manifests: list[Manifest]) -> None:
    assert [fault for manifest in manifests for fault in faults(manifest, version)] == []


def test_what_is_wrong_is_seen() -> None:
    deployment = named(render({}), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"][0]["imagePullPolice"] = "Always"
    pod["enableServiceLinks"] = "no"
    assert len(faults(deployment, "1.33")) == 2
    # Native sidecars came with the oldest version that there is to be.
    pod = {"containers": [{"name": "a"}], "initContainers": [{"name": "b", "restartPolicy": "Always"}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    assert faults(manifest, "1.27")
    assert not faults(manifest, f"1.{OLDEST}")


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
    given = {"extproc": {"enabled": True}, "injector": {"enabled": True}, "allowLocalState": True, "config": values("extproc")["config"]}
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
