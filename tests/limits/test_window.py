"""Windows: each moment is in exactly one of the calendar, whatever a zone's clocks do; and nothing slides out too early."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.limits.window import PARTS, UNDER_WAY, Length, Spot, Window, spot

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns",
    "America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham",
)  # fmt: skip
CALENDAR: tuple[Length, ...] = ("second", "minute", "hour", "day", "week", "month")


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


windows = st.builds(Window, st.sampled_from(CALENDAR), zone=st.sampled_from(ZONES))
moments = st.integers(ms("1990-01-01"), ms("2090-01-01"))
# Around midnights at which some zone's clocks were changed.
changes = st.sampled_from([ms("2011-12-30"), ms("1993-08-21"), ms("2010-11-07"), ms("2018-11-04"), ms("2023-04-28"), ms("2026-03-29")])
near = st.builds(lambda at, by: at + by, changes, st.integers(-2 * 86_400_000, 2 * 86_400_000))


def begins(found: Spot) -> int:
    return int(found.name.rpartition("/")[2])


@settings(max_examples=80)
@given(windows, moments | near)
@example(Window("day", zone="Pacific/Apia"), ms("2011-12-30T10:00"))
@example(Window("day", zone="America/St_Johns"), ms("2010-11-07T02:31"))
def test_each_moment_is_in_one_window(window: Window, now: int) -> None:
    found = spot(window, now)
    assert begins(found) <= now < found.ends
    for other in (begins(found), found.ends - 1):
        assert spot(window, other) == found
    assert begins(spot(window, found.ends)) == found.ends
    assert spot(window, begins(found) - 1).ends == begins(found)


@settings(max_examples=60)
@given(st.sampled_from(("day", "week", "month")), st.sampled_from(ZONES), moments)
def test_windows_are_those_of_the_wall_calendar(length: Length, zone: str, now: int) -> None:
    found = spot(Window(length, zone=zone), now)
    first, here = (datetime.fromtimestamp(at // 1000, ZoneInfo(zone)) for at in (begins(found), now))
    # Where midnight is skipped, a day begins later than at midnight; where it comes twice, the end of the day before is cut off.
    assert first.hour in {0, 1} and first.date() <= here.date()
    if length == "week":
        assert first.weekday() == 0 and (here.date() - first.date()).days < 7
    elif length == "month":
        assert first.day == 1 and (here.year, here.month) == (first.year, first.month)
    else:
        assert first.date() == here.date()


@pytest.mark.parametrize(
    ("window", "at", "begin", "end"),
    [
        (Window("day", zone="Europe/Berlin"), "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        (Window("day", zone="Europe/Berlin"), "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        (Window("month", zone="America/New_York"), "2026-03-01T04:59:59", "2026-02-01T05:00", "2026-03-01T05:00"),
        (Window("month"), "2028-02-29T23:59:59.999", "2028-02-01", "2028-03-01"),
        (Window("month"), "2026-12-31T23:00", "2026-12-01", "2027-01-01"),
        (Window("week", zone="Asia/Kolkata"), "2026-11-22T18:29", "2026-11-15T18:30", "2026-11-22T18:30"),
        (Window("day", zone="Africa/Cairo"), "2023-04-28T12:00", "2023-04-27T22:00", "2023-04-28T21:00"),
        (Window("day", zone="Pacific/Apia"), "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
        (Window("hour"), "2016-12-31T23:59:59.500", "2016-12-31T23:00", "2017-01-01"),
        (Window("minute"), "2026-11-22T12:08:07", "2026-11-22T12:08", "2026-11-22T12:09"),
        (Window("second"), "2026-11-22T12:08:07.999", "2026-11-22T12:08:07", "2026-11-22T12:08:08"),
    ],
)  # fmt: skip
def test_begin_and_end(window: Window, at: str, begin: str, end: str) -> None:
    found = spot(window, ms(at))
    assert (begins(found), found.ends) == (ms(begin), ms(end)), datetime.fromtimestamp(begins(found) / 1000, UTC)


def test_a_clock_that_is_set_back_finds_the_window_before_again() -> None:
    window = Window("minute")
    first = spot(window, 59_999)
    assert spot(window, 60_000) != first == spot(window, 59_998)


@settings(max_examples=60)
@given(st.integers(1, 100_000), moments, st.floats(0, 1.2) | st.floats(0.99, 1.07))
def test_what_slides_counts_for_as_long_as_the_window_is_and_little_longer(seconds: int, then: int, share: float) -> None:
    later = int(seconds * 1000 * share)
    window = Window("sliding", seconds)
    was, now = spot(window, then), spot(window, then + later)
    counts = now.part - was.part <= PARTS
    if later <= seconds * 1000:
        assert counts
    if later > seconds * 1000 + window.part + PARTS:
        assert not counts
    assert counts == (then + later < was.ends)


def test_what_is_under_way_has_no_end() -> None:
    assert spot(UNDER_WAY, 0) == spot(UNDER_WAY, 10**12) == Spot("under way", 0, 0)


@pytest.mark.parametrize(("length", "seconds"), [("sliding", 0), ("sliding", 366 * 86_400 + 1), ("day", 5)])
def test_windows_that_there_are_not(length: Length, seconds: int) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Window(length, seconds)
