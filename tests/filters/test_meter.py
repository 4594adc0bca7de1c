"""One record for every request, whatever becomes of it."""

from extproc import Response, Tap
from filters.meter import Meter
from tests.scene import Books, environment, request, run


def test_once_at_the_end() -> None:
    shared = environment()
    made = request()
    tap = run(Meter().open(shared).request(made))
    assert isinstance(tap, Tap) and tap.passes and Meter.early
    tap.start(Response(200, {}))
    assert isinstance(shared.journal, Books) and shared.journal == []
    run(tap.end(Response(200, {})))
    assert shared.journal == [made.record]
