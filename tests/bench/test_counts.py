"""What is counted under callgrind is what it says, and what is too much is found."""

import sys
from pathlib import Path

import msgspec
import pytest

from bench import counts
from extproc.ledger.record import Record

KINDS = [counts.NO_OP, counts.PIPELINE, counts.NO_OP_EVENT, counts.EVENT, counts.NO_OP_400, counts.PIPELINE_400, counts.STRANGER]


async def test_what_is_counted_is_served(tmp_path: Path) -> None:
    told = counts.serve(counts.Load(tmp_path, 2_000, 20, ""))
    assert list(told) == KINDS == list(counts.LIMITS)
    lines = [line for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    records = [msgspec.json.decode(line, type=Record) for line in lines]
    answered = [record for record in records if record.outcome == "complete" and not record.stream]
    assert len(answered) >= sum(told[kind] for kind in (counts.PIPELINE, counts.PIPELINE_400, counts.STRANGER))
    assert all((record.cache, record.usage.input) == ("miss", 2310) for record in answered)
    assert all(record.key.startswith("key-") for record in records)
    assert len({record.id for record in records}) == len(records)
    assert len({record.key for record in records}) > 1_000
    assert len({record.target for record in records if record.target}) == 20
    assert max(record.bytes_in for record in records) > 400_000


def part(share: float) -> dict[str, float]:
    """Of each limit."""
    return {kind: limit * share for kind, limit in counts.LIMITS.items()}


def test_a_table() -> None:
    text, good = counts.report(part(0.9), part(0.98))
    assert good
    assert [line.split("  ")[0] for line in text.splitlines()[1:]] == KINDS
    assert "TOO MUCH" not in text


@pytest.mark.parametrize(("small", "large"), [(0.95, 1.01), (1.01, 0.95), (0.8, 0.89)])
def test_too_much(small: float, large: float) -> None:
    """Above its limit with either size; or within it, but more with many keys and routes."""
    kind = counts.EVENT
    text, good = counts.report(part(0.8) | {kind: part(small)[kind]}, part(0.8) | {kind: part(large)[kind]})
    assert not good
    assert [line.partition("  ")[0] for line in text.splitlines() if line.endswith("TOO MUCH")] == [kind]


def test_without_valgrind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["counts"])
    assert counts.main() == 1
    assert "valgrind" in capsys.readouterr().err
