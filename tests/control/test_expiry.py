"""Each key is told of once for each time at which it is to be, whatever comes between."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.control import expiry
from extproc.control.box import Box
from extproc.control.expiry import look, spans
from extproc.identity.record import ExpiringKey
from extproc.notifications.event import Event
from extproc.notifications.outbox import Mark, Outbox
from tests.examples import examples

DAY = 86_400_000
START = 1_800_000_000_000


def key(number: int, expires: int) -> ExpiringKey:
    return ExpiringKey(f"key_{number:03}", f"k{number}", "abc", expires, ("org_1", "acme"))


def found_in(keys: list[ExpiringKey], expires: int, after: str, until: int, most: int) -> list[ExpiringKey]:
    order = sorted(keys, key=lambda one: (one.expires_at, one.id))
    return [one for one in order if (one.expires_at, one.id) > (expires, after) and one.expires_at <= until][:most]


def test_spans_follow_one_another() -> None:
    over, day, week = spans((7, 1, 7), START)
    assert (over.days, over.after, over.until) == (0, START - DAY, START)
    assert (day.days, day.after, day.until) == (1, START, START + DAY)
    assert (week.days, week.after, week.until) == (7, START + DAY, START + 7 * DAY)
    assert spans((), START) == [over]


@settings(max_examples=examples(30))
@given(
    st.lists(st.integers(-2 * 24, 20 * 24), max_size=12),
    st.lists(st.tuples(st.integers(1, 24 * 4), st.booleans()), min_size=1, max_size=8),
)
def test_each_is_told_once(hours: list[int], steps: list[tuple[int, bool]]) -> None:
    """`hours`: when keys expire. Between looks, hours pass, and the gateway may start anew; two keys are found at a time."""
    keys = [key(number, START + after * 3_600_000) for number, after in enumerate(hours)]
    told: list[tuple[str, int]] = []

    async def all_steps(folder: Path) -> None:
        now, box = START, Box(Outbox(folder))

        async def put(events: Sequence[Event], mark: tuple[int, Mark]) -> None:
            await box.do(Outbox.put, [(event, ["a"]) for event in events], 0.0, mark)
            told.extend((event.subject, event.data.get("days", 0)) for event in events)

        expected: set[tuple[str, int]] = set()
        for passed, anew in steps:
            await look((7, 1), now, box, lambda *where: found_in(keys, *where), put)
            for span in spans((7, 1), now):
                expected |= {(one.id, span.days) for one in keys if span.after < one.expires_at <= span.until}
            assert sorted(told) == sorted(expected)
            now += passed * 3_600_000
            if anew:
                await box.close()
                box = Box(Outbox(folder))
        await box.close()

    before, expiry._HELPING = expiry._HELPING, 2
    try:
        with TemporaryDirectory() as folder:
            asyncio.run(all_steps(Path(folder)))
    finally:
        expiry._HELPING = before
