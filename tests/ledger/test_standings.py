"""Metrics of how targets stand: labels are the configuration's, never a caller's."""

from prometheus_client import CollectorRegistry

from extproc.ledger.standings import StandingMetrics
from extproc.standing.board import Change
from extproc.standing.cooling import Name
from extproc.standing.told import Stand


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value for family in registry.collect() for sample in family.samples if sample.name == name
    }


def test_states() -> None:
    registry = CollectorRegistry()
    metrics = StandingMetrics(registry)
    known, other = Name("p", "gpt"), Name("p", "other")
    metrics.follow([known, other])
    name = "ai_proxy_circuit_breaker_state"
    assert samples(registry, name) == {("p", "gpt", ""): 0, ("p", "other", ""): 0}
    made_up = [(Name("p", "made-up-1"), "half_open"), (Name("p", "made-up-2"), "open"), (Name("p", "made-up-3"), "closed")]
    stands = [Stand("p", "gpt", "first", "cooling", 5, 0), Stand("p", "made-up-4", "", "limited", 5, 0)]
    metrics.show([(known, "open"), (Name("p", "", "second"), "half_open"), *made_up], stands)  # type: ignore[list-item]
    assert samples(registry, name) == {("p", "gpt", ""): 1, ("p", "other", ""): 0, ("p", "", "second"): 2, ("p", "*", ""): 1}
    assert samples(registry, "ai_proxy_cooling") == {("p", "gpt", "first"): 1, ("p", "*", ""): 1}
    metrics.show([], [])
    assert samples(registry, name) == {("p", "gpt", ""): 0, ("p", "other", ""): 0}
    assert samples(registry, "ai_proxy_cooling") == {}


def test_what_happens() -> None:
    registry = CollectorRegistry()
    metrics = StandingMetrics(registry)
    metrics.follow([Name("p", "gpt")])
    metrics.changed(
        [Change(Name("p", "gpt"), "open", ""), Change(Name("p", "made-up"), "closed", ""), Change(Name("p", "gpt"), "cooling", "")]
    )
    metrics.failed("p", "timeout", 3)
    metrics.probed("p")
    assert samples(registry, "ai_proxy_circuit_breaker_changes_total") == {("p", "gpt", "", "open"): 1, ("p", "*", "", "closed"): 1}
    assert samples(registry, "ai_proxy_attempt_failures_total") == {("p", "timeout"): 3}
    assert samples(registry, "ai_proxy_circuit_breaker_probes_total") == {("p",): 1}
