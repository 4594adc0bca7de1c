"""The report: what was measured is in it, and the raw turns can be read back."""

from pathlib import Path

import msgspec

from bench import cells, report
from bench.outcome import Outcome
from tests.bench.samples import outcome, turn


def _outcome() -> Outcome:
    turns = [turn(number, cells.CHAT, "envoy", envoy_us=200 * number, p50=1.5) for number in (1, 2, 3, 4)]
    turns += [turn(number, cells.CHAT, "headgate", envoy_us=300 * number, server_us=100 * number, p50=2.25) for number in (1, 2, 3, 4)]
    turns += [turn(1, cells.STREAM_ALONE, "envoy", first_p50=0.7, late_p50=0.12, envoy_us=1)]
    return outcome(turns, memory={"envoy": {"envoy": 21_500_000}}, alone={"envoy": 40_000_000, "workers": 30_250_000})


def test_the_terminal_shows_medians() -> None:
    text = report.terminal(_outcome())
    (line,) = [line for line in text.splitlines() if line.startswith("headgate ")]
    assert line.split() == ["headgate", "1,000", "2.25", "-", "1,000", "750", "250", "-", "2.00"]
    assert "headgate, alone" in text
    assert "not measured" in text


def test_markdown_shows_spreads() -> None:
    text = report.markdown(_outcome())
    assert "| headgate | 1,000 (1,000-1,000) | 2.25 (2.25-2.25) |" in text
    assert "1,000 (700-1,300)" in text
    assert "### 10 KB body, concurrency 1, stream of 10 events (`sse10-10k-c1`)" in text
    assert "| first p50 |" in text
    assert all(line.count("|") > 2 for line in text.splitlines() if line.startswith("|"))


def test_raw_turns_are_kept(tmp_path: Path) -> None:
    made = _outcome()
    page, raw = report.write(made, tmp_path / "new")
    assert (page.name, raw.name) == ("2026-11-21-1305.md", "2026-11-21-1305.json")
    assert page.read_text() == report.markdown(made)
    assert msgspec.json.decode(raw.read_bytes(), type=Outcome) == made
