"""How often a receiver is asked, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from extproc.notifications.schedule import LONGEST, PAUSES, Pace, pause


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_pause_is_about_as_long_as_it_is_to_be(failures: int, draw: float, asked: float) -> None:
    usual = PAUSES[min(failures, len(PAUSES)) - 1]
    assert 0.8 * usual <= pause(failures, lambda: draw) <= 1.2 * usual
    assert max(0.8 * usual, min(asked, LONGEST)) <= pause(failures, lambda: draw, asked) <= LONGEST


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["answered", "failed", "asked", "refused"])), max_size=60))
def test_it_is_asked_so_often_a_minute_and_no_more(most: int, steps: list[tuple[float, str]]) -> None:
    pace, now = Pace(most, lambda: 0.5), 0.0
    begun: list[float] = []
    for idle, outcome in steps:
        now += idle
        wait = pace.wait(now)
        # Only who has to wait does, and not for longer than there is a reason for.
        # Where a minute ends exactly, floating-point numbers may say either.
        surely, perhaps = (sum(at > now - seconds for at in begun) for seconds in (60 - 1e-6, 60 + 1e-6))
        assert wait <= LONGEST
        assert wait > 0 or surely < most
        assert not wait or pace.failures or perhaps >= most
        now += wait
        while (more := pace.wait(now)) > 0:
            assert more < 1e-6  # what floating-point numbers lose
            now += more + 1e-9
        pace.begun(now)
        begun.append(now)
        match outcome:
            case "answered":
                pace.answered()
            case "failed":
                pace.failed(now)
                assert pace.wait(now) >= 0.99 * PAUSES[min(pace.failures, len(PAUSES)) - 1]
            case "asked":
                pace.failed(now, 45.0)
                assert pace.wait(now) >= 44.9
    for first in begun:
        assert sum(first <= at < first + 59.999 for at in begun) <= most
