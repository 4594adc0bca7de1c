"""Metrics of limits: workers that begin anew count on, and rules that are gone are not told of."""

from prometheus_client import CollectorRegistry

from extproc.ledger.limiting import LimitMetrics


def test_what_is_told() -> None:
    registry = CollectorRegistry()
    metrics = LimitMetrics(registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ai_proxy_limit_{name}", labels)

    assert value("alone_total", decision="granted") == 0
    metrics.tell("worker-0", {"each": 3}, {"granted": 2})
    metrics.tell("worker-1", {"each": 1, "team": 1}, {})
    metrics.tell("worker-0", {"each": 5}, {"granted": 2})
    metrics.tell("worker-1", {"each": 1}, {"refused": 4})
    assert value("refused_total", rule="each") == 6 and value("refused_total", rule="team") == 1
    metrics.tell("worker-0", {"each": 1}, {})
    assert value("refused_total", rule="each") == 7, "it was started again"
    assert (value("alone_total", decision="granted"), value("alone_total", decision="refused")) == (2, 4)
    metrics.crossed({"each": 2})
    metrics.crossed({"each": 3})
    assert value("thresholds_total", rule="each") == 3
    metrics.stand({"a": (1.5, 10.0), "b": (1.0, 2.0)}, 7)
    metrics.stand({"a": (2.5, 10.0)}, 0)
    assert (value("used", rule="a"), value("amount", rule="a"), value("used", rule="b"), value("unsettled")) == (2.5, 10.0, None, 0)
