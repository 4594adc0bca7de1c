"""Metrics of the workers' load."""

from prometheus_client import CollectorRegistry

from extproc.ledger.loads import LoadMetrics


def test_what_workers_tell() -> None:
    registry = CollectorRegistry()
    metrics = LoadMetrics(registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ai_proxy_{name}", labels)

    assert value("load_refused_total", reason="tenant") == 0
    metrics.tell("w0", {"tenant": (3, 1)}, {"tenant": 5, "bodies": 1}, limit=0, bodies=7)
    metrics.tell("w1", {}, {"tenant": 2}, limit=40, bodies=0)
    metrics.tell("w0", {"target": (2, 0)}, {"tenant": 6, "bodies": 1}, limit=0, bodies=0)
    assert value("slots_in_use", worker="w0", kind="tenant") == 0
    assert value("slots_in_use", worker="w0", kind="target") == 2
    assert value("shedding_limit", worker="w1") == 40
    assert (value("load_refused_total", reason="tenant"), value("load_refused_total", reason="bodies")) == (8, 1)
    metrics.tell("w1", {}, {"tenant": 2}, limit=40, bodies=0, unmirrored=3)
    metrics.tell("w1", {}, {"tenant": 2}, limit=40, bodies=0, unmirrored=1)
    assert value("mirrors_dropped_total") == 4
    # Started again, it counts from the beginning.
    metrics.tell("w0", {}, {"tenant": 1}, limit=0, bodies=0)
    assert value("load_refused_total", reason="tenant") == 9
