"""What every store of turns promises to two who use it, whether workers or machines."""

import asyncio
from collections.abc import Awaitable, Callable

from extproc.turns.turn import Chain, Keep, Turns
from tests.turns.made import turn

KEEP = Keep(100.0, 1 << 30)
LOTS = 1 << 30
Rule = Callable[[Turns, Turns], Awaitable[None]]


async def ids(turns: Turns, id: str, owner: str = "o") -> list[str]:
    return [one.id for one in (await turns.chain(owner, id, LOTS)).turns]


async def what_one_kept_the_other_finds(here: Turns, there: Turns) -> None:
    for size in (0, 3_000_000):
        one = turn(f"a{size}", size=size)
        await here.put("o", one, KEEP)
        found = await there.chain("o", one.id, LOTS)
        assert found.turns == (one,)
        assert found.size == len(one.input) + len(one.output) + len(one.response)


async def what_is_late_is_waited_for(here: Turns, there: Turns) -> None:
    waiting = asyncio.ensure_future(there.chain("o", "a", LOTS))
    await asyncio.sleep(0.05)
    await here.put("o", turn("a"), KEEP)
    assert len((await waiting).turns) == 1


async def a_chain_comes_oldest_first_and_may_fork(here: Turns, there: Turns) -> None:
    for one in (turn("a"), turn("b", "a"), turn("c", "b"), turn("fork", "a")):
        await here.put("o", one, KEEP)
    assert (await ids(there, "c"), await ids(there, "fork")) == (["a", "b", "c"], ["a", "fork"])
    assert (await there.chain("o", "c", LOTS)).turns[1] == turn("b", "a")


async def another_owner_finds_nothing(here: Turns, there: Turns) -> None:
    await here.put("o", turn("a"), KEEP)
    assert await there.chain("p", "a", LOTS) == Chain()
    assert not await there.delete("p", "a")
    await there.put("p", turn("b", "a"), KEEP)
    assert await ids(there, "b", "p") == []
    assert await ids(there, "a") == ["a"]


async def what_is_too_large_is_told_by_its_size(here: Turns, there: Turns) -> None:
    await here.put("o", turn("a", size=5000), KEEP)
    chain = await there.chain("o", "a", 4000)
    assert chain.turns == () and chain.size > 5000


async def deleted_is_deleted_but_for_what_builds_on_it(here: Turns, there: Turns) -> None:
    for one in (turn("a"), turn("b", "a")):
        await here.put("o", one, KEEP)
    assert await there.delete("o", "a") and not await here.delete("o", "a")
    assert await ids(here, "a") == []
    assert [one.output for one in (await here.chain("o", "b", LOTS)).turns] == [turn("a").output, turn("b").output]
    assert await there.delete("o", "b")
    assert await ids(here, "b") == []


async def what_has_expired_is_not_found(here: Turns, there: Turns) -> None:
    await here.put("o", turn("a"), Keep(0.5, LOTS))
    await here.put("o", turn("b", "a"), KEEP)
    assert len((await there.chain("o", "b", LOTS)).turns) == 2  # both have arrived
    await asyncio.sleep(0.6)
    assert await ids(there, "a") == []
    assert len((await there.chain("o", "b", LOTS)).turns) == 2


async def one_id_again_and_again_makes_no_circle(here: Turns, there: Turns) -> None:
    await here.put("o", turn("same"), KEEP)
    for size in (1, 2, 3):
        await here.put("o", turn("same", "same", size=size), KEEP)
    found = (await there.chain("o", "same", LOTS)).turns
    assert [one.input for one in found] == [turn("same", size=size).input for size in range(4)]


CONTRACT: list[Rule] = [
    what_one_kept_the_other_finds,
    what_is_late_is_waited_for,
    a_chain_comes_oldest_first_and_may_fork,
    another_owner_finds_nothing,
    what_is_too_large_is_told_by_its_size,
    deleted_is_deleted_but_for_what_builds_on_it,
    what_has_expired_is_not_found,
    one_id_again_and_again_makes_no_circle,
]
