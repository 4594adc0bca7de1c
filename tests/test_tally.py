"""What the ledger is told of who asked, and how long it took."""

import msgspec

from extproc import StoredKey
from extproc.exchange import Exchange
from extproc.identity.levels import Level
from extproc.identity.record import Owner
from extproc.identity.settings import Settings
from extproc.keys import KeyState, digest, make_key
from extproc.ledger.record import Record
from extproc.tally import forecast
from tests.scene import Scene, head, run
from tests.test_exchange import BODY, JSON, SSE, started

OWNER = Owner("org_1", "proj_1", "team_1", "user_1")


KEY = make_key()


def known() -> Exchange:
    """Asked by somebody of whom something is set."""
    settings = Settings(tags={"stage": "live"}, cost_centre="4711")
    level = Level(kind="team", id="team_1", settings=settings)
    key = StoredKey("ann", digest(KEY), "red", "key_1", OWNER)
    scene = Scene()
    scene.engine._keys.take(KeyState(added=(key,), levels=(level,)), exist=True)
    made = scene.exchange(head(authorization=f"Bearer {KEY}"))
    assert run(made.intake.begin()) is None
    return made


def whose(record: Record) -> tuple[object, ...]:
    return record.tenant, record.key, record.owner, record.key_id, record.tags, record.cost_centre


def test_the_record_says_whose_the_request_is() -> None:
    made = known()
    expected = ("red", "ann", OWNER, "key_1", {"stage": "live"}, "4711")
    assert whose(forecast(made.request, 0.1)) == expected
    assert whose(made.delivery.settle()) == expected


def test_nobody_is_nobody() -> None:
    made = Scene().exchange(head())
    assert whose(made.delivery.settle()) == ("", "", None, "", {}, "")
    assert made.request.record.end_user == ""


def test_callers_name_those_for_whom_they_ask() -> None:
    assert Scene().exchange(head(x_headgate_user="eve")).request.record.end_user == "eve"
    assert len(Scene().exchange(head(x_headgate_user="e" * 5000)).request.record.end_user) == 256


def test_times() -> None:
    made = Scene().exchange(head())
    assert run(made.intake.begin()) is None
    made.request.record.waited(1000, known=False)
    assert run(made.intake.proceed(msgspec.json.encode({**msgspec.json.decode(BODY), "stream": True}))) is None
    made.intake.forward()
    made.delivery.answer(SSE, local="", cluster="", attempts=1)
    record = made.request.record
    assert 0 < record.ours < record.first_byte < 100
    assert record.first_token == 0
    made.delivery.feed(b"data: {}\n\n", end=False)
    assert record.first_byte <= (first := record.first_token)
    made.delivery.feed(b"data: {}\n\n", end=False)
    assert record.first_token == first


def test_an_answer_that_is_no_stream_has_no_first_token() -> None:
    made = started(Scene().exchange(head()), BODY)
    made.delivery.answer(JSON, local="", cluster="", attempts=1)
    made.delivery.feed(b"{}", end=True)
    assert made.request.record.first_token == 0


def test_seconds_in_line_are_not_ours() -> None:
    made = Scene().exchange(head())
    assert run(made.intake.begin()) is None
    assert run(made.intake.proceed(BODY)) is None
    made.request.record.waited(1000, known=True)
    made.intake.forward()
    made.delivery.answer(JSON, local="", cluster="", attempts=1)
    assert made.request.record.queue == 1000
    assert -1000 < made.request.record.ours < -900
