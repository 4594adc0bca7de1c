"""Metrics: the names that dashboards know, bounded labels, once a request."""

from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from extproc.ledger.collector import Collected, Entry
from extproc.ledger.metrics import Metrics
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.usage import Usage


def served(**more: object) -> Record:
    """A served request."""
    record = Record(
        id="a", time=1, model="free text", route="gpt-*", provider="openai", dialect="openai", attempts=1, status=200, duration=0.3
    )
    for name, value in more.items():
        setattr(record, name, value)
    return record


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """What is rendered, by name and label values."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_names_are_there_from_the_start() -> None:
    text = Metrics("1.2.3").render().decode()
    for name in (
        "requests_total",
        "request_duration_seconds",
        "tokens_used_total",
        "cost_total",
        "cache_hits_total",
        "circuit_breaker_state",
    ):
        assert f"# TYPE ai_proxy_{name}" in text
    assert 'ai_proxy_build_info{version="1.2.3"} 1.0' in text
    assert "_created" not in text


def test_a_copy_for_a_mirror_is_no_request() -> None:
    metrics = Metrics("1")
    copy = Entry(served(usage=Usage(input=7), attempts=1, mirror_of="r"), Priced(Decimal("0.25")), in_ledger=True, replaces=False)
    metrics.feed(Collected([copy, Entry(served(usage=Usage(input=7), attempts=1), Priced(Decimal(1)), in_ledger=True, replaces=False)]))
    found = samples(metrics)
    assert found["ai_proxy_mirrored_requests_total", "gpt-*", "complete", "openai"] == 1
    assert found["ai_proxy_requests_total", "", "openai", "gpt-*", "complete", "openai", "200", "false"] == 1
    assert found["ai_proxy_request_duration_seconds_count", "gpt-*", "openai", "false"] == 1
    assert found["ai_proxy_attempts_total", "gpt-*", "openai"] == 2
    assert found["ai_proxy_cost_total", "gpt-*", "openai"] == 1.25
    assert found["ai_proxy_tokens_used_total", "gpt-*", "openai", "input"] == 14


def test_a_request_counts_once() -> None:
    metrics = Metrics("1")
    usage = Usage(input=100, output=20, cache_read=50, reasoning=5)
    entry = Entry(served(usage=usage, attempts=2, first_byte=0.1), Priced(Decimal("0.25")), in_ledger=True, replaces=False)
    again = Entry(served(usage=usage), Priced(Decimal("0.25")), in_ledger=True, replaces=True)
    metrics.feed(Collected([entry, again], corrupt=3))
    found = samples(metrics)
    assert found["ai_proxy_requests_total", "", "openai", "gpt-*", "complete", "openai", "200", "false"] == 1
    assert found["ai_proxy_request_duration_seconds_count", "gpt-*", "openai", "false"] == 1
    assert found["ai_proxy_time_to_first_byte_seconds_sum", "gpt-*", "openai", "false"] == 0.1
    tokens = {key[-1]: value for key, value in found.items() if key[0] == "ai_proxy_tokens_used_total"}
    assert tokens == {"input": 100, "output": 20, "cache_read": 50, "reasoning": 5}
    assert found["ai_proxy_cost_total", "gpt-*", "openai"] == 0.25
    assert found["ai_proxy_attempts_total", "gpt-*", "openai"] == 2
    assert found["ai_proxy_fallbacks_total", "gpt-*", "openai"] == 1
    assert found["ai_proxy_ledger_replaced_total",] == 1
    assert found["ai_proxy_ledger_corrupt_lines_total",] == 3
    assert "free text" not in metrics.render().decode()


def test_requests_by_a_provider_s_keys() -> None:
    metrics = Metrics("1")
    for keys in (["one", "two", "one"], ["", "two"]):
        entries = [Entry(served(provider_key=key), Priced(), in_ledger=True, replaces=False) for key in keys]
        metrics.feed(Collected(entries))
    found = {key[1:]: value for key, value in samples(metrics).items() if key[0] == "ai_proxy_provider_key_requests_total"}
    assert found == {("one", "openai"): 2, ("two", "openai"): 2}


def test_cache_unpriced_partial() -> None:
    metrics = Metrics("1")
    hit = served(cache="hit", usage=Usage(input=9, output=1, cache_read=4), attempts=0)
    metrics.feed(Collected([Entry(hit, Priced(Decimal(0), source="cache"), True, False)]))
    metrics.feed(Collected([Entry(served(cache="miss", outcome="killed", partial=True, witness="envoy"), Priced(), True, False)]))
    metrics.feed(Collected([Entry(served(metered=False), Priced(), True, False)]))
    metrics.feed(Collected([Entry(Record(id="b", time=1, outcome="rejected", status=401), Priced(), False, False)]))
    found = samples(metrics)
    assert found["ai_proxy_cache_hits_total", "gpt-*"] == found["ai_proxy_cache_misses_total", "gpt-*"] == 1
    assert found["ai_proxy_cache_saved_tokens_total", "gpt-*", "input"] == 9
    assert found["ai_proxy_unpriced_total", "gpt-*", "openai"] == 1
    assert found["ai_proxy_unmetered_total", "gpt-*", "openai"] == 1
    assert found["ai_proxy_partial_total", "gpt-*", "killed", "openai"] == 1
    assert found["ai_proxy_ledger_rescued_total",] == 1
    assert found["ai_proxy_requests_total", "", "", "", "rejected", "", "401", "false"] == 1
    assert not any(key[0] == "ai_proxy_tokens_used_total" for key in found)


def test_reloads() -> None:
    metrics = Metrics("1")
    first = samples(metrics)
    assert first["ai_proxy_config_in_force",] == 1
    assert {key[1] for key in first if key[0] == "ai_proxy_config_reloads_total"} == {"accepted", "refused", "unchanged"}
    metrics.reloaded("refused")
    found = samples(metrics)
    assert (found["ai_proxy_config_in_force",], found["ai_proxy_config_reloads_total", "refused"]) == (0, 1)
    assert found["ai_proxy_config_taken_timestamp_seconds",] == first["ai_proxy_config_taken_timestamp_seconds",]
    metrics.reloaded("unchanged")
    found = samples(metrics)
    assert found["ai_proxy_config_in_force",] == 1
    assert found["ai_proxy_config_taken_timestamp_seconds",] >= first["ai_proxy_config_taken_timestamp_seconds",]


def test_restarts_and_what_is_under_way() -> None:
    metrics = Metrics("1")
    assert not [key for key in samples(metrics) if key[0] == "ai_proxy_requests_under_way"]
    for times in (0, 2, 2, 3):
        metrics.restarts("worker-0", times)
    metrics.under_way(7)
    metrics.under_way(4)
    found = samples(metrics)
    assert (found["ai_proxy_restarts_total", "worker-0"], found["ai_proxy_requests_under_way",]) == (3, 4)


def test_gauges_are_set() -> None:
    metrics = Metrics("1")
    metrics.providers.full("openai", True)
    metrics.journal("w0", failures=2, lost=1, waiting=7)
    metrics.handshakes("w0", 3)
    found = samples(metrics)
    assert found["ai_proxy_provider_full", "openai"] == 1
    assert found["ai_proxy_journal_waiting", "w0"] == 7
    assert found["ai_proxy_tls_handshakes_failed", "w0"] == 3
