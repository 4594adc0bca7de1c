"""Which window of time a moment is in, and when that one ends.

    calendar     second, minute, hour: of UTC. day, week, month: of a time zone; weeks begin on Monday. Windows of one kind follow one
                 another without a gap or an overlap, whatever a zone's clocks do: a day has 23 or 25 hours where they are changed.
    sliding      the last so many seconds, in parts of a sixteenth. Parts count whole until the last of them has left, so that no span of
                 the window's length, wherever it begins, has more in it than the limit; for that, 17 parts are counted.
    under way    no window at all: what is under way now.

Moments are milliseconds since 1970, integers: so Redis's scripts, which know floating-point numbers alone, find the same part. POSIX time
has no leap seconds.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

Length = Literal["under way", "second", "minute", "hour", "day", "week", "month", "sliding"]

PARTS = 16
"""Of a sliding window. One more is counted: the one that it has left in part."""
LONGEST = 366 * 86_400
"""Seconds of the longest sliding window."""
_SPANS = {
    "under way": 0, "second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "sliding": 0,
}  # fmt: skip
_FIXED = {"second": 1_000, "minute": 60_000, "hour": 3_600_000}
_GRACE = 3_600_000
_KNOWN = 4096


class Window(Struct, frozen=True, array_like=True):
    """Over which time is counted."""

    length: Length
    seconds: int = 0
    """Of a sliding one, and of no other."""
    zone: str = "UTC"
    """By whose calendar days, weeks and months go: a name of the IANA time zone database."""

    def __post_init__(self) -> None:
        if self.length == "sliding" and not 0 < self.seconds <= LONGEST:
            raise ValueError(f"a sliding window has 1 to {LONGEST} seconds")
        if self.length != "sliding" and self.seconds:
            raise ValueError("only a sliding window has seconds")

    @property
    def part(self) -> int:
        """Milliseconds of a part, where it has parts; else 0."""
        return -(-self.seconds * 1000 // PARTS)

    @property
    def span(self) -> int:
        """About how many seconds it has; 0: it is none."""
        return self.seconds or _SPANS[self.length]


UNDER_WAY = Window("under way")


class Spot(Struct, frozen=True):
    """Where a moment is in time, as a window sees it."""

    name: str
    """Names the window and, where it is one of the calendar, which one it is."""
    part: int
    """Which part of it, counted from 1970; 0 where it has none."""
    ends: int
    """When the window ends, in milliseconds; of a sliding one, when its last part has left; 0 where nothing ends."""
    grace: int = 0
    """Milliseconds for which what was counted is remembered beyond that, for clocks that are set back."""


_spots: dict[Window, tuple[int, Spot]] = {}
"""Where the last moment of each window was: the next one is mostly there as well."""


def spot(window: Window, now: int) -> Spot:
    """Where `now` is, in milliseconds since 1970. Raises `ZoneInfoNotFoundError` where nobody knows the zone."""
    if window.length == "under way":
        return _UNDER_WAY
    if part := window.part:
        at = now // part
        return Spot(f"sliding/{window.seconds}", at, (at + PARTS + 1) * part)
    known = _spots.get(window)
    if known is not None and known[0] <= now < known[1].ends:
        return known[1]
    begins, ends = _bounds(window, now)
    found = Spot(f"{window.length}/{window.zone}/{begins}", 0, ends, min(_GRACE, ends - begins))
    if len(_spots) >= _KNOWN:
        _spots.clear()
    _spots[window] = begins, found
    return found


_UNDER_WAY = Spot("under way", 0, 0)


def is_zone(name: str) -> bool:
    """Whether it is a time zone that is known here."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of the database, or something outside of it, is none either.
        return False
    return True


def _bounds(window: Window, now: int) -> tuple[int, int]:
    """Begin and end of the calendar's window that `now` is in."""
    if step := _FIXED.get(window.length):
        begins = now - now % step
        return begins, begins + step
    zone: tzinfo = UTC if window.zone == "UTC" else ZoneInfo(window.zone)
    # What the clocks there show may jump to and fro over midnight: first moments of days never do, so those are what is compared.
    day = _first_day(window.length, datetime.fromtimestamp(now // 1000, zone).date())
    while _begin(day, zone) > now:
        day = _first_day(window.length, day - timedelta(days=1))
    while _begin(following := _next(window.length, day), zone) <= now:
        day = following
    return _begin(day, zone), _begin(following, zone)


def _begin(day: date, zone: tzinfo) -> int:
    """Where midnight is skipped, or comes twice: the first of the moments that it could be (PEP 495, `fold` of 0)."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def _first_day(length: Length, day: date) -> date:
    if length == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if length == "month" else day


def _next(length: Length, day: date) -> date:
    if length == "month":
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if length == "week" else 1)
