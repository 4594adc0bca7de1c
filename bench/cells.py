"""What is measured: a cell is one kind of load, and the systems that are put under it in turns."""

from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

KB = 1024
SIZES = (1, 10, 100, 400)
CONCURRENCIES = (1, 16, 64)
SHORT, LONG = 10, 210
"""Events of a stream: two lengths, so that what an event costs is the slope between them."""

GATEWAYS = ("envoy", "noop-grpcio", "noop-native", "headgate-bare", "headgate")
ALL = ("direct", *GATEWAYS)
GROWTH = ("headgate-few", "headgate-many")


class Cell(Struct, frozen=True, kw_only=True):
    """One kind of load."""

    systems: tuple[str, ...]
    kb: int = 10
    concurrency: int = 16
    events: int = 0
    unique: bool = True
    growth: bool = False

    @property
    def name(self) -> str:
        """Like `json-10k-c16`, `sse10-10k-c1`, `hit-10k-c16`, `growth-10k-c16`."""
        kind = f"sse{self.events}" if self.events else "json"
        if not self.unique:
            kind = "hit"
        if self.growth:
            kind = "growth"
        return f"{kind}-{self.kb}k-c{self.concurrency}"

    @property
    def title(self) -> str:
        """The same in words."""
        what = f"stream of {self.events} events" if self.events else "not streamed"
        if not self.unique:
            what = "answered from the cache"
        if self.growth:
            what = "few keys and routes, and many"
        return f"{self.kb} KB body, concurrency {self.concurrency}, {what}"


# Cells that the targets are read from; see `targets.py`.
SMALL = Cell(systems=GATEWAYS, kb=1)
CHAT = Cell(systems=ALL)
ALONE = Cell(systems=ALL, concurrency=1)
CROWD = Cell(systems=ALL, concurrency=64)
MEDIUM = Cell(systems=("envoy", "noop-native", "headgate"), kb=100)
LARGE = Cell(systems=("envoy", "noop-native", "headgate"), kb=400)
HIT = Cell(systems=("headgate",), unique=False)
STREAM_ALONE = Cell(systems=GATEWAYS, concurrency=1, events=SHORT)
STREAM_SHORT = Cell(systems=GATEWAYS, events=SHORT)
STREAM_LONG = Cell(systems=GATEWAYS, events=LONG)
GROWN = Cell(systems=GROWTH, growth=True)

DEFAULT = (ALONE, CHAT, CROWD, SMALL, MEDIUM, LARGE, HIT, STREAM_ALONE, STREAM_SHORT, STREAM_LONG, GROWN)
QUICK = (ALONE, CHAT, STREAM_ALONE)


def full() -> tuple[Cell, ...]:
    """The cross product: every size at every concurrency, not streamed and streamed, for every system. Long streams as in `DEFAULT`."""
    plain = [Cell(systems=ALL, kb=kb, concurrency=concurrency) for kb in SIZES for concurrency in CONCURRENCIES]
    streams = [replace(cell, events=SHORT) for cell in plain]
    return (*plain, HIT, *streams, replace(STREAM_LONG, systems=ALL), GROWN)


def choose(cells: tuple[Cell, ...], patterns: list[str], systems: list[str], peers: tuple[str, ...] = ()) -> tuple[Cell, ...]:
    """The cells whose names match, with the systems that are wanted; with `peers` in every cell that compares gateways.

    Raises `ValueError` where nothing is left.
    """
    chosen = []
    for cell in cells:
        if patterns and not any(fnmatchcase(cell.name, pattern) for pattern in patterns):
            continue
        there = cell.systems + (peers if "envoy" in cell.systems else ())
        kept = tuple(name for name in there if not systems or any(fnmatchcase(name, pattern) for pattern in systems))
        if kept:
            chosen.append(replace(cell, systems=kept))
    if not chosen:
        names = ", ".join(cell.name for cell in cells)
        raise ValueError(f"nothing is left to measure: the cells are {names}")
    return tuple(chosen)
