"""Turns and outcomes made up for the tests of tables and targets."""

from collections.abc import Iterable

from msgspec.structs import replace

from bench import cells
from bench.cells import Cell
from bench.load import Result
from bench.outcome import Outcome
from bench.stage import Turn


def turn(number: int, cell: Cell, system: str, *, server_us: float = 0.0, envoy_us: float = 0.0, **result: float) -> Turn:
    """A turn of 1,000 requests in a second."""
    cpu = {name: micros * 1e-3 for name, micros in {"workers": server_us, "envoy": envoy_us}.items() if micros}
    measured = {"count": 1000, "seconds": 1.0, **result}
    return Turn(round=number, cell=cell.name, system=system, result=Result(**measured), cpu=cpu)  # type: ignore[arg-type]


def outcome(turns: Iterable[Turn], **more: object) -> Outcome:
    """An outcome of these turns."""
    found = list(turns)
    measured: dict[str, list[str]] = {}
    for one in found:
        measured.setdefault(one.cell, []).append(one.system)
    return Outcome(
        began="2026-11-21T13:05:00+00:00",
        seconds=61.0,
        command="python -m bench",
        facts={"Headgate": "0.1.0"},
        settings={"rounds": 3.0, "seconds": 0.4, "gap": 0.002, "keys": 100_010.0, "routes": 100.0, "few": 10.0},
        cells=[replace(cell, systems=tuple(dict.fromkeys(measured[cell.name]))) for cell in cells.DEFAULT if cell.name in measured],
        turns=found,
        **{"memory": {}, **more},  # type: ignore[arg-type]
    )
