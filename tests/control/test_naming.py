"""Events get names beside everything else, and nobody waits for names that do not come."""

import asyncio
import threading
from collections.abc import Collection

from extproc.control.naming import Naming
from extproc.identity.named import Named
from extproc.limits.rule import Rule
from extproc.limits.window import Window
from extproc.notifications import event as events
from extproc.notifications.event import Event, budget_exhausted

TEAM = "team_red"
RULE = Rule(id=f"team {TEAM}: cost a month", unit="cost", amount=1, window=Window("month"))


async def test_names_are_found_and_done_without() -> None:
    told: asyncio.Queue[Event] = asyncio.Queue()
    plain = budget_exhausted(RULE, RULE.id, 0)

    def nobody(ids: Collection[str]) -> dict[str, Named]:
        raise OSError("away")

    naming = Naming(lambda ids: {id: Named(id, "Reds") for id in ids}, told.put_nowait)
    naming.tell(plain)
    assert told.empty(), "it is asked for first"
    assert (await told.get()).data["team"] == {"id": TEAM, "name": "Reds"}
    naming.tell(events.test("hook"))
    assert told.get_nowait().type == "test"
    Naming(nobody, told.put_nowait).tell(plain)
    assert "team" not in (await told.get()).data


async def test_the_end_waits_for_no_name() -> None:
    told: list[Event] = []
    never = threading.Event()

    def waits(ids: Collection[str]) -> dict[str, Named]:
        never.wait(20)
        return {}

    naming = Naming(waits, told.append)
    event = budget_exhausted(RULE, RULE.id, 0)
    naming.tell(event)
    await asyncio.sleep(0)
    await naming.close()
    never.set()
    assert told == [event]
