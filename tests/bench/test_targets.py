"""What must hold is told from figures of the same round, and nothing is said of what was not measured."""

import pytest

from bench import cells
from bench.outcome import Outcome
from bench.targets import Verdict, verdicts
from tests.bench.samples import outcome, turn


def the(found: Outcome, words: str) -> Verdict:
    (verdict,) = [verdict for verdict in verdicts(found) if words in verdict.what]
    return verdict


def test_nothing_measured() -> None:
    found = verdicts(outcome([]))
    assert len(found) == 16
    assert {verdict.met for verdict in found} == {None}


@pytest.mark.parametrize(("native", "met"), [(49, True), (50, True), (51, False)])
def test_the_no_op(native: float, met: bool) -> None:
    turns = [turn(number, cells.SMALL, "noop-grpcio", server_us=500 * number) for number in (1, 2, 3)]
    turns += [turn(number, cells.SMALL, "noop-native", server_us=native * number) for number in (1, 2, 3)]
    verdict = the(outcome(turns), "no-op, 1 KB")
    assert verdict.measured is not None
    assert verdict.measured.median == pytest.approx(native / 500)
    assert (verdict.met, verdict.measured.rounds) == (met, 3)


def test_the_pipeline_is_what_is_beyond_the_no_op() -> None:
    turns = [turn(1, cells.CHAT, "noop-native", server_us=40), turn(1, cells.CHAT, "headgate", server_us=125, envoy_us=300)]
    verdict = the(outcome(turns), "real pipeline")
    assert verdict.measured is not None
    assert verdict.measured.median == pytest.approx(85)
    assert verdict.met is True


def test_an_event_is_the_slope_between_short_streams_and_long_ones() -> None:
    turns = [turn(1, cells.STREAM_SHORT, "headgate", server_us=300), turn(1, cells.STREAM_LONG, "headgate", server_us=300 + 200 * 9)]
    verdict = the(outcome(turns), "streamed event")
    assert verdict.measured is not None
    assert verdict.measured.median == pytest.approx(9)


def test_latency_is_compared_with_the_no_op() -> None:
    turns = [turn(1, cells.STREAM_ALONE, "noop-native", first_p50=1.0, late_p50=0.3, late_p99=0.9)]
    turns += [turn(1, cells.STREAM_ALONE, "headgate", first_p50=1.1, late_p50=0.6, late_p99=1.0)]
    found = outcome(turns)
    assert (the(found, "first event").met, the(found, "each later event").met, the(found, "p99 of later events").met) == (True, False, True)


def test_the_peers() -> None:
    turns = [turn(1, cells.CHAT, "headgate", envoy_us=300, server_us=100)]
    turns += [turn(1, cells.CHAT, "tensorzero", envoy_us=350), turn(1, cells.CHAT, "portkey", seconds=3.0)]
    found = outcome(turns)
    assert the(found, "TensorZero").met is True
    assert the(found, "Portkey").met is False
    assert the(found, "LiteLLM").met is None


def test_memory_and_growth() -> None:
    turns = [turn(1, cells.GROWN, "headgate-few", server_us=100), turn(1, cells.GROWN, "headgate-many", server_us=109)]
    memory = {"headgate-few": {"workers": 30_000_000}, "headgate-many": {"workers": 40_000_000, "key file": 7_500_000}}
    found = outcome(turns, memory=memory, alone={"workers": 46_000_000, "envoy": 1})
    assert the(found, "PSS").met is False
    key = the(found, "a key").measured
    assert key is not None
    assert key.median == pytest.approx(175)
    assert the(found, "against 10 and 10").met is True
