"""Finds the keys that are about to expire, each once for each time at which that is told, whatever comes between.

It remembers up to when keys have been told of. So a key that is made for less than seven days is not told of when it is made.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct

from extproc.control.aside import aside
from extproc.control.box import Box
from extproc.identity.record import ExpiringKey
from extproc.notifications.event import Event, key_expires
from extproc.notifications.outbox import Mark, Outbox

Find = Callable[[int, str, int, int], list[ExpiringKey]]
"""The keys that expire at some moment with an id above, or after it, and no later than another moment: so many at most, in that order."""
Put = Callable[[Sequence[Event], tuple[int, Mark]], Awaitable[None]]
"""Takes events, and the mark for so many days, both or none."""

_DAY = 86_400_000
_HELPING = 500


class Span(Struct, frozen=True):
    """Keys that expire after one moment, and no later than another, are told of as so many days before it; 0: as expired."""

    days: int
    after: int
    until: int


def spans(days: Iterable[int], now: int) -> list[Span]:
    """What is to be told at a moment, in milliseconds since 1970: of each key the latest alone. What has expired is told for a day."""
    found, before = [Span(0, now - _DAY, now)], 0
    for each in sorted(set(days)):
        found.append(Span(each, now + before * _DAY, now + each * _DAY))
        before = each
    return found


async def look(days: Iterable[int], now: int, box: Box, find: Find, put: Put) -> None:
    """Tells of those that have come near since it was looked last. Raises `OSError`, `sqlite3.Error`."""
    for span in spans(days, now):
        mark = await box.do(Outbox.mark, span.days)
        if mark.expires < span.after:
            mark = Mark(span.after + 1)
        while mark.expires <= span.until:
            found = await aside(partial(find, mark.expires, mark.key, span.until, _HELPING), "expiring keys")
            mark = Mark(found[-1].expires_at, found[-1].id) if len(found) == _HELPING else Mark(span.until + 1)
            await put([key_expires(key, span.days) for key in found], (span.days, mark))
