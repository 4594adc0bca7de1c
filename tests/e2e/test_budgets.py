"""A small fleet of gateways with one Redis keeps what is promised of hard budgets; bench.budgets does the same with a larger one."""

import tempfile
from pathlib import Path

from bench.budgets.__main__ import parsed, play
from bench.budgets.fleet import Scene
from bench.budgets.table import broken

SCENES = (Scene("killed", "a worker of each gateway killed", kills=True), Scene("leased", "with leases", lease=True))


async def test_a_fleet_spends_its_budget_and_nothing_beyond() -> None:
    small = [
        "--gateways",
        "2",
        "--workers",
        "2",
        "--clients",
        "40",
        "--seconds",
        "2",
        "--delay",
        "0.2",
        "--budget",
        "12",
        "--prompt",
        "200",
    ]
    # Near the root: a socket's path must be shorter than 108 bytes.
    with tempfile.TemporaryDirectory(prefix="hg-budgets-") as folder:
        shown = await play(Path(folder), parsed(small), SCENES)
    assert [list(broken(each)) for each in shown] == [[], []]
