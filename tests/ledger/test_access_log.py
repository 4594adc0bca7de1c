"""Envoy's line becomes the record that a killed worker could not write."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.ledger.access_log import KEYS, line_id, read_line, rotate, rotate_due, rotated
from extproc.ledger.record import Record
from extproc.ledger.store import is_entry
from extproc.usage import Usage
from extproc.use import USE_KEY, Use

LINE: dict[str, Any] = {
    "request_id": "r1",
    "start_time": "2026-11-21T09:51:50.123Z",
    "duration_ms": 1234,
    "status": 200,
    "flags": "DC",
    "details": "downstream_remote_disconnect",
    "bytes_in": 100,
    "bytes_out": 200,
    "method": "POST",
    "path": "/v1/chat/completions?x=1",
    "attempts": 2,
    "cluster": "provider_second",
    "record": json.dumps({"id": "other", "time": 5.0, "key": "k", "tenant": "t", "route": "gpt-*", "model": "gpt-4o", "stream": True}),
    "use": {
        "cluster": "provider_second",
        "attempt": 2.0,
        "provider": "second",
        "target": "m",
        "answered": "m-1",
        "usage": {"input": 9.0, "output": 3},
    },
}


def read(**changes: object) -> Record:
    """The record that the changed line makes."""
    line = read_line(json.dumps({**LINE, **changes}).encode(), {"provider_second": "second"})
    assert line is not None
    return line.record


def test_the_keys_are_those_that_are_documented() -> None:
    assert set(KEYS) == set(LINE)


def test_a_line_makes_a_record() -> None:
    assert read() == Record(
        id="r1",
        time=1795254710.123,
        tenant="t",
        key="k",
        path="/v1/chat/completions",
        model="gpt-4o",
        route="gpt-*",
        provider="second",
        target="m",
        answered="m-1",
        attempts=2,
        stream=True,
        status=200,
        outcome="killed",
        error="downstream_remote_disconnect",
        usage=Usage(input=9, output=3),
        partial=True,
        duration=1.234,
        bytes_in=100,
        bytes_out=200,
        witness="envoy",
    )


def test_usage_may_come_as_text() -> None:
    assert read(use=json.dumps(LINE["use"])) == read()
    assert read(record=json.loads(LINE["record"])) == read()


def test_usage_comes_as_the_adapter_s_metadata() -> None:
    assert read(use={USE_KEY: json.dumps(LINE["use"])}) == read()
    told = Use("provider_second", 2, "second", "m", "m-1", Usage(input=9, output=3))
    assert read(use={USE_KEY: told.encode()}) == read()


def test_an_answer_that_was_told_whole_is_not_partial() -> None:
    told = Use("provider_second", 2, "second", "m", "m-1", Usage(input=9, output=3), text=100, finished=True)
    found = read(use={USE_KEY: told.encode()})
    assert (found.partial, found.estimated, found.usage) == (False, False, Usage(input=9, output=3))


def test_what_was_seen_of_a_broken_answer_is_estimated() -> None:
    told = Use("provider_second", 2, "second", "m", usage=Usage(input=9, output=1), text=101)
    found = read(use={USE_KEY: told.encode()})
    assert (found.partial, found.estimated, found.usage) == (True, True, Usage(input=9, output=26))
    untold = Use("provider_second", 2, "second", "m", text=101)
    assert read(use={USE_KEY: untold.encode()}, bytes_in=400).usage == Usage(input=100, output=26)
    assert read(use={USE_KEY: untold.encode()}, status=502).usage == Usage()


def test_the_gate_s_own_count_stays_if_it_is_higher() -> None:
    told = {"provider": "second", "target": "m", "attempts": 2, "usage": {"input": 9, "output": 50}, "estimated": True}
    found = read(record=json.dumps({"id": "r1", "time": 1.0, **told}))
    assert (found.usage, found.estimated) == (Usage(input=9, output=50), True)


def test_a_guess_at_who_would_answer_is_no_witness() -> None:
    guess = {"id": "r1", "time": 1.0, "provider": "first", "target": "m"}
    found = read(record=json.dumps(guess), use=None)
    assert (found.provider, found.target) == ("second", "")
    found = read(record=json.dumps({**guess, "provider": "second"}), use=None)
    assert (found.provider, found.target) == ("second", "m")
    found = read(record=json.dumps(guess), use=None, attempts=0, cluster="headgate_no_target", status=503)
    assert (found.provider, found.outcome) == ("", "killed")


@pytest.mark.parametrize(("status", "counts"), [(200, True), (0, False), (500, False)])
def test_a_guess_at_the_cost_stands_if_an_answer_had_begun(status: int, counts: bool) -> None:
    guess = {"id": "r1", "time": 1.0, "provider": "second", "target": "m", "usage": {"input": 9}, "estimated": True}
    found = read(record=json.dumps(guess), use=None, attempts=1, status=status)
    assert (found.provider, found.usage, found.estimated) == ("second", Usage(input=9) if counts else Usage(), counts)
    # What was seen of an answer stands, whatever became of it.
    seen = read(record=json.dumps({**guess, "attempts": 1}), use=None, attempts=1, status=status)
    assert (seen.usage, seen.estimated) == (Usage(input=9), True)


@pytest.mark.parametrize(("outcome", "cache"), [("rejected", ""), ("complete", "hit")])
def test_the_gate_s_own_answer_was_whole(outcome: str, cache: str) -> None:
    told = {"id": "r1", "time": 1.0, "provider": "first", "outcome": outcome, "cache": cache, "usage": {"input": 4}}
    found = read(record=json.dumps(told), use=None, attempts=0, details="headgate_x", cluster=None)
    assert (found.outcome, found.cache, found.partial, found.witness, found.usage.input) == (outcome, cache, False, "envoy", 4)
    assert is_entry(found) is (cache == "hit")


@pytest.mark.parametrize("use", [{"cluster": "provider_first"}, {"cluster": ""}, {"attempt": 1}])
def test_another_attempt_s_usage_is_not_taken(use: dict[str, object]) -> None:
    found = read(use={**LINE["use"], **use})
    assert found.usage == Usage()
    assert (found.provider, found.target) == ("second", "")


def test_what_the_gate_knew_itself_stays() -> None:
    told = {"id": "r1", "time": 1.0, "provider": "p", "target": "t", "attempts": 2, "usage": {"input": 4}}
    found = read(record=json.dumps(told), use=None)
    assert (found.provider, found.target, found.usage) == ("p", "t", Usage(input=4))


@pytest.mark.parametrize("none", [None, "-", ""])
def test_absent_values(none: str | None) -> None:
    found = read(**{key: none for key in LINE if key not in ("request_id", "start_time")})
    assert found == Record(id="r1", time=1795254710.123, outcome="killed", partial=True, witness="envoy")
    line = read_line(json.dumps({**LINE, "request_id": none}).encode())
    assert line is None


@pytest.mark.parametrize("start", [1795254710.123, "1795254710.123", "2026-11-21T10:51:50.123+01:00", "2026-11-21T09:51:50.123"])
def test_ways_to_write_a_time(start: object) -> None:
    assert read(start_time=start).time == 1795254710.123


def test_numbers_as_text() -> None:
    assert read(**{key: str(LINE[key]) for key in ("duration_ms", "status", "bytes_in", "bytes_out", "attempts")}) == read()


@pytest.mark.parametrize("told", ["{", '{"usage": 5}', '{"usage": {"input": "x"}}', "[]"])
def test_a_record_that_cannot_be_read_does_not_lose_the_request(told: str) -> None:
    found = read(record=told)
    assert (found.provider, found.usage.input, found.status) == ("second", 9, 200)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"attempts": 0}, True),
        ({"record": None}, True),
        ({"record": None, "attempts": 0}, False),
        ({"record": None, "attempts": 0, "status": 500}, True),
        ({"record": None, "attempts": 0, "status": 0}, True),
    ],
)
def test_silence_means_something_only_if_something_was_under_way(changes: dict[str, object], counts: bool) -> None:
    line = read_line(json.dumps({**LINE, **changes}).encode())
    assert line is not None
    assert line.counts is counts


@given(st.dictionaries(st.sampled_from(KEYS), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=3)))
@settings(deadline=None)
def test_no_line_is_worse_than_a_value_error(changes: dict[str, object]) -> None:
    text = msgspec.json.encode({**LINE, **changes})
    line_id(text)
    with suppress(ValueError, OverflowError):
        read_line(text)


def test_rotation(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    assert not rotate_due(log, 10)
    log.write_text("x" * 10)
    assert not rotate_due(log, 10)
    log.write_text("x" * 11)
    assert rotate_due(log, 10)
    rotate(log)
    (old,) = rotated(log)
    assert old.read_text() == "x" * 11
    # Renamed, but nobody has told Envoy yet.
    assert rotate_due(log, 10)
    rotate(log)
    log.write_text("")
    assert not rotate_due(log, 10)
