"""What alerts and the dashboard ask for is what the gateway tells."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from extproc.ledger.metrics import Metrics
from tests.k8s.chart.rendering import Manifest, named, notes, render, values

# What Prometheus and its operator add to each series, and what histograms have.
_ADDED = {"namespace", "pod", "le"}
_METRIC = re.compile(r"(ai_proxy_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Labels by the name of a series, of all that there may be."""
    metrics = Metrics("0")
    metrics.under_way(0)
    metrics.websockets(0)
    names: dict[str, set[str]] = {}
    for collector, of_it in metrics.registry._collector_to_names.items():
        names |= {name: set(collector._labelnames) for name in of_it}  # type: ignore[attr-defined]
    return names


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render(values("everything"))


def alerts(manifests: list[Manifest]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = named(manifests, "PrometheusRule")["spec"]["groups"][0]["rules"]
    return rules


def board(manifests: list[Manifest]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(named(manifests, "ConfigMap", "headgate-dashboard")["data"]["headgate.json"])
    return found


def asked(manifests: list[Manifest]) -> Iterator[str]:
    for alert in alerts(manifests):
        yield alert["expr"]
    dashboard = board(manifests)
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (one["expr"] for one in dashboard["annotations"]["list"])
    yield from (one["definition"] for one in dashboard["templating"]["list"] if one["type"] == "query")


def test_series_and_labels_are_there(manifests: list[Manifest], told: dict[str, set[str]]) -> None:
    for expression in asked(manifests):
        found = _METRIC.findall(expression)
        assert found or expression == "vector(1)"
        labels = set(_ADDED)
        for name, matchers in found:
            assert name in told, expression
            labels |= told[name]
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= told[name] | _ADDED, expression
        for group in _GROUPED.findall(expression):
            assert {label.strip() for label in group.split(",")} <= labels, expression


def test_alerts_are_of_this_release_alone(manifests: list[Manifest]) -> None:
    for alert in alerts(manifests)[:-1]:
        assert all('namespace="ai"' in matchers for _, matchers in _METRIC.findall(alert["expr"])), alert["expr"]
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"].keys() == {"summary", "description"}


def test_alerts_can_be_left_out_labelled_and_added(manifests: list[Manifest]) -> None:
    given = {
        "monitoring": {
            "prometheusRule": {"enabled": True, "disabled": ["HeadgateUnpriced"], "alertLabels": {"team": "a", "severity": "page"}}
        }
    }
    left = alerts(render(given))
    assert {one["alert"] for one in alerts(manifests)} - {one["alert"] for one in left} == {"HeadgateUnpriced", "Mine"}
    assert {one["labels"]["severity"] for one in left} == {"page"}


def test_panels_have_places_and_ids_of_their_own(manifests: list[Manifest]) -> None:
    panels = board(manifests)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_monitors_find_what_they_watch(manifests: list[Manifest]) -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in manifests if one["kind"] == "Deployment"]
    service = named(manifests, "Service", "headgate-metrics")
    monitor = named(manifests, "ServiceMonitor")
    watched = named(manifests, "PodMonitor")["spec"]["selector"]["matchLabels"]
    assert service["spec"]["selector"] == watched
    found = [labels["app.kubernetes.io/component"] for labels in pods if watched.items() <= labels.items()]
    assert found == ["edge", "extproc"]
    selected = [
        one["metadata"]["name"]
        for one in manifests
        if one["kind"] == "Service" and monitor["spec"]["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
    ]
    assert selected == ["headgate-metrics"]


def test_whoever_locks_prometheus_out_is_told() -> None:
    given = {"monitoring": {"podMonitor": {"enabled": True}}, "networkPolicy": {"metricsFrom": []}}
    assert "nobody reaches the metrics" in notes(given)
