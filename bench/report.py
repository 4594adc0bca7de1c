"""The report: one table for the terminal, the same in Markdown, and all raw turns in JSON."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench import outcome as read
from bench import translation
from bench.cells import Cell
from bench.figures import Spread, percentile, ratio
from bench.outcome import Outcome, Value
from bench.stage import Turn
from bench.targets import Verdict, verdicts
from bench.translation import EVENT_US, PAIR_US

Row = list[str]


class Column(Struct, frozen=True):
    """One figure of the tables."""

    title: str
    value: Value
    digits: int = 0
    streamed: bool | None = None
    """True: of streams only; False: not of streams."""


def _p99(turn: Turn) -> float:
    return turn.result.p99


def _first_p99(turn: Turn) -> float:
    return turn.result.first_p99


def _merged(turn: Turn) -> float:
    return turn.result.events / turn.result.reads if turn.result.reads else 0.0


def _envoy(turn: Turn) -> float:
    return turn.part_us("envoy")


def _control(turn: Turn) -> float:
    return turn.part_us("control")


_COLUMNS = (
    Column("req/s", read.rps),
    Column("p50 ms", read.p50, 2),
    Column("p99 ms", _p99, 2),
    Column("first p50", read.first, 2, streamed=True),
    Column("first p99", _first_p99, 2, streamed=True),
    Column("event p50", read.late, 2, streamed=True),
    Column("event p99", read.late_p99, 2, streamed=True),
    Column("a read", _merged, 2, streamed=True),
    Column("CPU us/req", read.cpu),
    Column("Envoy", _envoy),
    Column("server", read.server),
    Column("control", _control),
)


def terminal(outcome: Outcome) -> str:
    """All tables as plain text, medians only."""
    parts = [_plain([cell.title, *head], rows) for cell, head, rows in _tables(outcome, spreads=False)]
    parts += [_plain(head, rows) for head, rows in _translation(outcome)]
    parts += [_plain(*_memory(outcome)), _settings(outcome)]
    parts.append(_plain(*_promises(outcome)))
    return "\n\n".join(part for part in parts if part)


def markdown(outcome: Outcome) -> str:
    """The whole report, medians with their quartiles."""
    lines = [f"# Benchmark of {outcome.began}", ""]
    lines += [f"Run as `{outcome.command}`, {_settings(outcome)}. What the columns mean, and how to read them: [README.md](README.md).", ""]
    lines += [_pipes(["", ""], [[name, value] for name, value in outcome.facts.items()]), ""]
    lines += ["## What must hold", "", _pipes(*_promises(outcome)), ""]
    lines += ["## Figures", "", "Medians of the rounds, and in brackets the quartiles.", ""]
    for cell, head, rows in _tables(outcome, spreads=True):
        lines += [f"### {cell.title[0].upper()}{cell.title[1:]} (`{cell.name}`)", "", _pipes(["", *head], rows), ""]
    if outcome.translation:
        lines += ["## Translation", "", f"Medians of the rounds. (!): above {PAIR_US} us a pair, or {EVENT_US} us an event.", ""]
        for head, rows in _translation(outcome):
            lines += [_pipes(head, rows), ""]
    lines += ["## Memory", "", "PSS at the end of the run, in MB.", "", _pipes(*_memory(outcome)), ""]
    return "\n".join(lines)


def write(outcome: Outcome, folder: Path) -> tuple[Path, Path]:
    """Writes the report and the raw turns, named by the time at which the run began. Returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = outcome.began[:16].replace("T", "-").replace(":", "")
    found = folder / f"{name}.md", folder / f"{name}.json"
    found[0].write_text(markdown(outcome), encoding="utf-8")
    found[1].write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1).rstrip() + b"\n")
    return found


def _settings(outcome: Outcome) -> str:
    given = outcome.settings
    turns = f"{given['rounds']:.0f} rounds, turns of {given['seconds']:g} s"
    others = percentile([turn.others for turn in outcome.turns], 50)
    turns += f", {others:.2f} processors busy with other things meanwhile"
    return f"{turns}, {given['gap'] * 1000:g} ms between a stream's events, {outcome.seconds:.0f} s in all"


def _tables(outcome: Outcome, *, spreads: bool) -> list[tuple[Cell, Row, list[Row]]]:
    return [(cell, *_table(outcome, cell, spreads)) for cell in outcome.cells]


def _table(outcome: Outcome, cell: Cell, spreads: bool) -> tuple[Row, list[Row]]:
    columns = [column for column in _COLUMNS if column.streamed is None or column.streamed == bool(cell.events)]
    floor = "envoy" if "envoy" in cell.systems else ""
    head = [column.title for column in columns] + (["CPU x envoy"] if floor else [])
    rows = []
    for system in cell.systems:
        row = [system] + [_cell(outcome.figure(cell, system, column.value), column.digits, spreads) for column in columns]
        if floor:
            row.append(_cell(outcome.compare(cell, system, floor, read.cpu, ratio), 2, spreads))
        rows.append(row)
    return head, rows


def _cell(value: Spread | None, digits: int, spreads: bool) -> str:
    # What uses no CPU of its own has none to show.
    if value is None or not value.median:
        return "-"
    text = f"{value.median:,.{digits}f}"
    return f"{text} ({value.low:,.{digits}f}-{value.high:,.{digits}f})" if spreads else text


def _translation(outcome: Outcome) -> list[tuple[Row, list[Row]]]:
    return translation.tables(outcome.translation) if outcome.translation else []


def _memory(outcome: Outcome) -> tuple[Row, list[Row]]:
    names = sorted({part for parts in outcome.memory.values() for part in parts})
    found = {name: parts for name, parts in outcome.memory.items() if parts}
    if outcome.alone:
        found["headgate, alone"] = outcome.alone
    rows = [[name, *(f"{parts[part] / 1e6:.1f}" if part in parts else "-" for part in names)] for name, parts in found.items()]
    return ["memory, MB", *names], rows


def _promises(outcome: Outcome) -> tuple[Row, list[Row]]:
    return ["what must hold", "limit", "measured", ""], [_promise(verdict) for verdict in verdicts(outcome)]


def _promise(verdict: Verdict) -> Row:
    word = {True: "met", False: "MISSED", None: "not measured"}[verdict.met]
    bound = f"{'>=' if verdict.at_least else '<='} {verdict.limit:g} {verdict.unit}"
    found = verdict.measured
    if found is None:
        return [verdict.what, bound, "-", word]
    spread = f" ({found.low:.3g}-{found.high:.3g})" if found.rounds > 1 else ""
    return [verdict.what, bound, f"{found.median:.3g}{spread} {verdict.unit}", word]


def _plain(head: Row, rows: Sequence[Row]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Row) -> str:
        cells = [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), *map(line, rows)]) if rows else ""


def _pipes(head: Row, rows: Sequence[Row]) -> str:
    shown: Callable[[Row], str] = lambda row: f"| {' | '.join(row)} |"  # noqa: E731
    return "\n".join([shown(head), f"|{'---|' * len(head)}", *map(shown, rows)])


def relative(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path)
