"""One record for every request, whatever becomes of it."""

from pathlib import Path

import msgspec
import pytest

from extproc import Response, Tap
from extproc.ledger.journal import Journal
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
    # This journal does not say whether it is on disk.
    assert not made.journalled


@pytest.mark.parametrize("works", [True, False])
def test_what_is_on_disk_is_said_to_be(tmp_path: Path, works: bool) -> None:
    (tmp_path / "file").write_text("")
    shared = msgspec.structs.replace(environment(), journal=Journal(tmp_path / ("journal" if works else "file"), "w"))
    made = request()
    tap = run(Meter().open(shared).request(made))
    assert isinstance(tap, Tap) and not made.journalled
    run(tap.end(Response(200, {})))
    assert made.journalled is works
