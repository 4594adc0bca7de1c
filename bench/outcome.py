"""What a run found: all turns, memory, the machine; and the figures that tables and targets read from them."""

from collections.abc import Callable

from msgspec import Struct

from bench.cells import Cell
from bench.figures import Spread, paired, spread
from bench.stage import Turn

Value = Callable[[Turn], float]
"""Reads one figure from a turn."""
Combine = Callable[[float, float], float]


def cpu(turn: Turn) -> float:
    """CPU of the whole process tree, in microseconds a request."""
    return turn.cpu_us


def server(turn: Turn) -> float:
    """CPU of the ext_proc server alone, in microseconds a request."""
    return turn.part_us("workers")


def p50(turn: Turn) -> float:
    """Median time of a request, in milliseconds."""
    return turn.result.p50


def first(turn: Turn) -> float:
    """Median time to a stream's first event, in milliseconds."""
    return turn.result.first_p50


def late(turn: Turn) -> float:
    """Median time of every later event from the provider to here, in milliseconds."""
    return turn.result.late_p50


def late_p99(turn: Turn) -> float:
    """The same of the latest one in a hundred."""
    return turn.result.late_p99


def rps(turn: Turn) -> float:
    """Requests a second."""
    return turn.result.rps


class Outcome(Struct, kw_only=True):
    """One run, whole. It is what the JSON file holds."""

    began: str
    """UTC, ISO 8601."""
    seconds: float
    command: str
    facts: dict[str, str]
    """Machine and versions."""
    settings: dict[str, float]
    cells: list[Cell]
    turns: list[Turn]
    memory: dict[str, dict[str, int]]
    """Bytes of PSS, by system and part, with all systems running."""
    translation: dict[str, list[tuple[float, float]]] = {}
    """See `translation.Found`; empty where it was not measured."""
    alone: dict[str, int] = {}
    """The same of `headgate` with nothing else running."""

    def by_round(self, cell: Cell, system: str, value: Value) -> dict[int, float]:
        """One figure of one system in one cell, by round; empty where it was not measured."""
        return {turn.round: value(turn) for turn in self.turns if turn.cell == cell.name and turn.system == system}

    def figure(self, cell: Cell, system: str, value: Value) -> Spread | None:
        """The median of it over the rounds, or None."""
        found = self.by_round(cell, system, value)
        return spread(found.values()) if found else None

    def compare(self, cell: Cell, one: str, other: str, value: Value, combine: Combine) -> Spread | None:
        """Two systems in one cell, combined within each round, or None."""
        mine, theirs = self.by_round(cell, one, value), self.by_round(cell, other, value)
        return paired(mine, theirs, combine) if mine.keys() & theirs.keys() else None

    def slope(self, short: Cell, long: Cell, system: str, value: Value) -> Spread | None:
        """What one more event of a stream costs, from streams of two lengths in the same round, or None."""
        brief, extended = self.by_round(short, system, value), self.by_round(long, system, value)
        if not brief.keys() & extended.keys():
            return None
        return paired(extended, brief, lambda more, less: (more - less) / (long.events - short.events))
