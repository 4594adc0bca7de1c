"""Nothing that was taken is lost, whatever comes and whoever starts anew."""

import sqlite3
import stat
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from extproc.notifications.event import Event, breaker_closed
from extproc.notifications.outbox import FILE, Mark, Outbox
from extproc.standing.cooling import Name
from tests.examples import examples
from tests.notifications.receivers import event

NAMES = ("a", "b")


class Model(RuleBasedStateMachine):
    """Each event that was told is delivered, given up, dropped and counted, or in one that came later about the same."""

    MOST = 5

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name), self.MOST)
        self.now = 1e9
        self.waiting: dict[str, list[tuple[Event, int, float]]] = {name: [] for name in NAMES}
        """Those that the model expects, in their order: the event, how many it stands for, when it is due."""
        self.lost: Counter[str] = Counter()

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()

    @rule(numbers=st.lists(st.integers(1, 8), max_size=6), names=st.sampled_from([("a",), ("b",), ("a", "b")]))
    def put(self, numbers: list[int], names: tuple[str, ...]) -> None:
        events = [event(number) for number in numbers]
        lost = self.outbox.put([(one, names) for one in events], self.now)
        for name in names:
            rows = self.waiting[name]
            for one in events:
                same = [row for row in rows if row[0].subject == one.subject]
                rows = [row for row in rows if row not in same] + [(one, 1 + sum(times for _, times, _ in same), self.now)]
            if (gone := len(rows) - self.MOST + 1) > 1:
                self.lost[name] += gone
                assert lost[name] == gone
                said = sum(times for one, times, _ in rows if one.type == "notifications.dropped") + 1
                rows = [row for row in rows if row[0].type != "notifications.dropped"][gone:]
                rows.append((event(0, type="notifications.dropped", subject=name), said, self.now))
            self.waiting[name] = rows

    @rule(name=st.sampled_from(NAMES), most=st.integers(1, 3))
    def deliver(self, name: str, most: int) -> None:
        found = self.outbox.due(name, self.now, most)
        self.outbox.done([one.number for one in found])
        gone = {one.event.subject for one in found}
        self.waiting[name] = [row for row in self.waiting[name] if row[0].subject not in gone]

    @rule(name=st.sampled_from(NAMES), pause=st.floats(1, 700))
    def fail(self, name: str, pause: float) -> None:
        found = self.outbox.due(name, self.now, 1)
        self.outbox.again([one.number for one in found], self.now + pause)
        subjects = {one.event.subject for one in found}
        self.waiting[name] = [
            (one, times, self.now + pause if one.subject in subjects else due) for one, times, due in self.waiting[name]
        ]  # fmt: skip

    @rule(seconds=st.floats(0, 1000))
    def later(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def start_anew(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(Path(self.folder.name), self.MOST)

    @precondition(lambda self: self.lost["a"])
    @rule()
    def it_says_how_many_were_dropped(self) -> None:
        told = [one.event for one in self.outbox.due("a", self.now + 2000, 100) if one.event.type == "notifications.dropped"]
        assert all(0 < one.data["dropped"] <= self.lost["a"] for one in told)

    @invariant()
    def all_are_there(self) -> None:
        for name in NAMES:
            found = self.outbox.due(name, self.now + 10_000, 100)
            expected = {(row[0].subject, row[1]) for row in self.waiting[name]}
            assert {(one.event.subject, one.times) for one in found} == expected
            assert len(found) == self.outbox.waiting()[name] <= self.MOST
            due = {one.event.subject for one in self.outbox.due(name, self.now, 100)}
            assert due == {row[0].subject for row in self.waiting[name] if row[2] <= self.now}
            assert self.outbox.next_due(name) == min((row[2] for row in self.waiting[name]), default=None)


def test_nothing_is_lost() -> None:
    run_state_machine_as_test(Model, settings=settings(max_examples=examples(20), stateful_step_count=15))


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path)


def test_it_is_its_owners_alone(outbox: Outbox, tmp_path: Path) -> None:
    with closing(outbox):
        outbox.put([(event(), ("a",))], 1.0)
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_what_nobody_takes_is_given_up(outbox: Outbox) -> None:
    with closing(outbox):
        outbox.put([(event(1), ("a", "b"))], 10.0)
        outbox.put([(event(2), ("a",))], 20.0)
        assert outbox.give_up(15.0) == {"a": 1, "b": 1}
        assert [one.event.subject for one in outbox.due("a", 30.0, 9)] == ["p|m2|"]
        assert outbox.keep(["b"]) == {"a": 1}
        assert not outbox.waiting()


def test_what_cannot_be_read_keeps_nobody_waiting(outbox: Outbox, tmp_path: Path) -> None:
    with closing(outbox):
        outbox.put([(event(number), ("a",)) for number in range(3)], 1.0)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("UPDATE waiting SET event = CAST(replace(event, 'breaker.opened', 'of.tomorrow') AS BLOB) WHERE number = 1")
        assert [one.number for one in outbox.due("a", 2.0, 2)] == [2]
        assert outbox.waiting() == {"a": 2}


def test_a_clock_that_is_set_back_keeps_nobody_waiting(outbox: Outbox) -> None:
    with closing(outbox):
        outbox.put([(event(), ("a",))], 1e9)
        assert outbox.due("a", 1e9 - 86_400, 9)


def test_breakers_and_marks_outlive_a_start(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([(event(1), ("a",)), (event(2), ()), (breaker_closed(Name("p", "m2")), ())], 1.0, (7, Mark(5, "key_1")))
    outbox.close()
    with closing(Outbox(tmp_path)) as again:
        assert again.breakers() == {Name("p", "m1")}
        assert (again.mark(7), again.mark(1)) == (Mark(5, "key_1"), Mark())


def test_a_disk_that_refuses_changes_nothing(outbox: Outbox, tmp_path: Path) -> None:
    with closing(outbox):
        outbox.put([(event(1), ("a",))], 1.0)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON marks BEGIN SELECT RAISE(ABORT, 'full'); END")
        with pytest.raises(sqlite3.Error):
            outbox.put([(event(2), ("a",))], 1.0, (7, Mark()))
        assert outbox.waiting() == {"a": 1}
    (tmp_path / FILE).write_bytes(b"x" * 9000)
    with pytest.raises(sqlite3.Error):
        outbox.waiting()
