"""What the chart makes for operators, where those are: their own definitions take it to the letter."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.k8s.api import Refused, eventually
from tests.k8s.chart.rendering import CHART, USES, render, values
from tests.k8s.cluster import Cluster
from tests.k8s.platforms import OPERATORS, definitions

DEFINITION = "apiextensions.k8s.io/v1/CustomResourceDefinition"
GROUPS = ("monitoring.coreos.com", "cert-manager.io", "gateway.networking.k8s.io")
KINDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "Certificate", "Issuer", "HTTPRoute"}


@pytest.fixture(scope="module")
def operators(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, with what the operators define; other tests have it without."""
    found = [one for operator in OPERATORS for one in definitions(operator) if one["spec"]["group"] in GROUPS]
    for one in found:
        cluster.api.apply(one)
    names = [one["metadata"]["name"] for one in found]
    eventually(lambda: all(_is_established(cluster, name) for name in names), 120)
    yield cluster
    for name in names:
        cluster.api.delete(DEFINITION, name)
    eventually(lambda: not any(cluster.api.find(DEFINITION, name) for name in names), 120)


def _is_established(cluster: Cluster, name: str) -> bool:
    conditions = cluster.api.get(DEFINITION, name).get("status", {}).get("conditions", ())
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def theirs(use: str, namespace: str) -> list[dict[str, Any]]:
    found = render(values(use), name="gate", namespace=namespace)
    return [one for one in found if one["apiVersion"].partition("/")[0] in GROUPS]


def uses() -> list[str]:
    return [path.name.removesuffix("-values.yaml") for path in USES]


@pytest.mark.parametrize("use", [use for use in uses() if theirs(use, "any")])
def test_they_take_what_the_chart_makes(operators: Cluster, namespace: str, use: str) -> None:
    for manifest in theirs(use, namespace):
        operators.api.apply(manifest, namespace, dry_run=True)
        assert not operators.api.warnings


def test_all_their_kinds_are_tried() -> None:
    assert {one["kind"] for use in uses() for one in theirs(use, "any")} == KINDS


def test_they_refuse_what_is_wrong(operators: Cluster, namespace: str) -> None:
    """The control: what is taken above is not taken whatever it says."""
    for manifest in theirs("everything", namespace):
        with pytest.raises(Refused, match="imagined"):
            operators.api.apply({**manifest, "spec": {**manifest["spec"], "imagined": True}}, namespace, dry_run=True)


def test_helm_installs_them(operators: Cluster, namespace: str, helm: Any) -> None:
    monitoring = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    helm.install(CHART, "gate", {"monitoring": monitoring}, wait="watcher", timeout=60)
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert operators.api.list(f"monitoring.coreos.com/v1/{kind}", namespace)
