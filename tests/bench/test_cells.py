"""The plan: what is measured, in which order."""

import pytest

from bench import cells
from bench.cells import Cell, choose
from bench.rounds import order


def test_names_are_unique() -> None:
    for plan in (cells.DEFAULT, cells.QUICK, cells.full()):
        names = [cell.name for cell in plan]
        assert len(set(names)) == len(names)


def test_full_holds_what_the_default_does() -> None:
    assert {cell.name for cell in cells.DEFAULT} <= {cell.name for cell in cells.full()}


def test_full_is_the_cross_product_of_streams_too() -> None:
    names = {cell.name for cell in cells.full()}
    assert names >= {f"{kind}-{kb}k-c{many}" for kind in ("json", "sse10") for kb in cells.SIZES for many in cells.CONCURRENCIES}


def test_names_say_what_a_cell_is() -> None:
    found = [cell.name for cell in (cells.CHAT, cells.LARGE, cells.HIT, cells.STREAM_ALONE, cells.STREAM_LONG, cells.GROWN)]
    assert found == ["json-10k-c16", "json-400k-c16", "hit-10k-c16", "sse10-10k-c1", "sse210-10k-c16", "growth-10k-c16"]


def test_every_system_goes_first_and_last_as_often_as_the_others() -> None:
    names = ["a", "b", "c"]
    rounds = [order(names, number) for number in range(1, 7)]
    assert all(sorted(one) == names for one in rounds)
    for place in (0, -1):
        assert sorted(one[place] for one in rounds) == ["a", "a", "b", "b", "c", "c"]


def test_patterns_choose() -> None:
    (cell,) = choose(cells.DEFAULT, ["json-10k-c1"], ["headgate*", "envoy"])
    assert (cell.name, cell.systems) == ("json-10k-c1", ("envoy", "headgate-bare", "headgate"))
    assert cell.concurrency == cells.ALONE.concurrency


def test_a_cell_without_systems_is_left_out() -> None:
    assert cells.GROWN.name not in {cell.name for cell in choose(cells.DEFAULT, [], ["envoy"])}


def test_peers_are_where_gateways_are_compared() -> None:
    chosen = {cell.name: cell.systems for cell in choose(cells.DEFAULT, [], [], ("portkey",))}
    assert chosen[cells.CHAT.name] == (*cells.ALL, "portkey")
    assert chosen[cells.GROWN.name] == cells.GROWTH


def test_nothing_left() -> None:
    with pytest.raises(ValueError, match="the cells are json-10k-c1, "):
        choose(cells.DEFAULT, ["nonsense"], [])
    with pytest.raises(ValueError, match="nothing is left"):
        choose((Cell(systems=("a",)),), [], ["b"])
