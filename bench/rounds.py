"""The rounds: every cell in each of them, the systems of a cell one right after the other, and a different one first each time."""

from collections.abc import Callable, Sequence

from bench.cells import Cell
from bench.stage import Stage, Turn

_WARM = 0.1


async def rounds(stage: Stage, cells: Sequence[Cell], *, count: int, seconds: float, tell: Callable[[str], None]) -> list[Turn]:
    """All turns of `count` rounds. A round before the first warms everything up, and is not kept."""
    turns: list[Turn] = []
    tell("warming up ...")
    for cell in cells:
        for name in cell.systems:
            await stage.turn(0, cell, name, min(seconds, _WARM))
    for number in range(1, count + 1):
        tell(f"round {number} of {count} ...")
        for cell in cells:
            turns += [await stage.turn(number, cell, name, seconds) for name in order(cell.systems, number)]
    return turns


def order(systems: Sequence[str], number: int) -> list[str]:
    """The turns of a cell in round `number`: rotated, and every other time backwards, so that nobody always comes after the same one."""
    first = number % len(systems)
    rotated = [*systems[first:], *systems[:first]]
    return rotated[::-1] if number % 2 else rotated
