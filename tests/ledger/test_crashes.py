"""Workers write, Envoy logs, the collector collects, and any of them is interrupted anywhere."""

import contextlib
import sqlite3
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from extproc.ledger.access_log import rotate
from extproc.ledger.collector import Collector
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.ledger.record import Record
from extproc.ledger.report import report
from extproc.ledger.sources import segments
from extproc.usage import Usage
from tests.examples import examples
from tests.ledger.told import PRICES, append, entry, line


class Crashes(RuleBasedStateMachine):
    """Workers write, Envoy logs, the collector collects and is interrupted at any step; in the end all is there, once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.state = Path(self.folder.name)
        self.now = 1e9
        self.count = 0
        self.expected: dict[str, int] = {}
        self.torn = 0
        self.told: set[str] = set()
        self.worker = self.new_worker()
        self.collector = Collector(self.state, PRICES, limit=5)

    def teardown(self) -> None:
        self.worker.close()
        self.now += 100
        for _ in range(1000):
            if not self.collector.collect(self.now).more:
                break
        self.now += 100
        while self.collector.collect(self.now).entries:
            pass
        rows = dict(self.collector.store.db.execute("SELECT id, input FROM entries").fetchall())
        assert rows == self.expected
        (total,) = report(self.collector.store)
        assert total.cost == sum(self.expected.values()) * Decimal("0.000001")
        assert segments(places(self.state).journal) == []
        assert self.collector.store.corrupt() == self.torn
        self.collector.close()
        self.folder.cleanup()

    def new_worker(self) -> Journal:
        return Journal(places(self.state).journal, "w", segment_bytes=400)

    def new(self, input: int) -> Record:
        self.count += 1
        return entry(f"r{self.count}", usage=Usage(input=input))

    @rule(input=st.integers(0, 9), logged=st.booleans())
    def served(self, input: int, logged: bool) -> None:
        record = self.new(input)
        if logged:
            self.log(record.id, entry(record.id, usage=Usage(input=99)))
        self.worker.append(record)
        self.expected[record.id] = input

    @rule(logged_first=st.booleans())
    def refused(self, logged_first: bool) -> None:
        record = entry(self.new(0).id, outcome="rejected", attempts=0, provider="")
        if logged_first:
            self.log(record.id, None)
        self.worker.append(record)
        if not logged_first:
            self.log(record.id, None)

    @rule(input=st.integers(0, 9))
    def killed(self, input: int) -> None:
        record = self.new(input)
        self.log(record.id, record)
        self.expected[record.id] = input

    @rule(torn=st.booleans())
    def worker_dies(self, torn: bool) -> None:
        paths = segments(places(self.state).journal)
        if torn and paths and self.worker.written:
            append(paths[-1], b'{"id":"torn"')
            self.torn += 1
        self.worker.close()
        self.worker = self.new_worker()

    @rule()
    def log_rotates(self) -> None:
        rotate(places(self.state).access_log)

    @rule(seconds=st.floats(0, 4))
    def collect(self, seconds: float) -> None:
        self.now += seconds
        for found in self.collector.collect(self.now).entries:
            assert found.replaces or found.record.id not in self.told
            self.told.add(found.record.id)

    @rule(steps=st.integers(1, 4000))
    def collect_interrupted(self, steps: int) -> None:
        left = steps

        def interrupt() -> int:
            nonlocal left
            left -= 1
            return int(left == 0)

        self.collector.store.db.set_progress_handler(interrupt, 1)
        with contextlib.suppress(sqlite3.OperationalError):
            self.collector.collect(self.now)
        self.collector.store.db.set_progress_handler(None, 0)

    @rule()
    def collector_restarts(self) -> None:
        self.collector.close()
        self.collector = Collector(self.state, PRICES, limit=5)

    @invariant()
    def never_too_much(self) -> None:
        (rows,) = self.collector.store.db.execute("SELECT count(*) FROM entries").fetchone()
        assert rows <= len(self.expected)

    def log(self, id: str, record: Record | None) -> None:
        attempts = 0 if record is None else 1
        append(places(self.state).access_log, line(id, record, attempts=attempts, status=500))


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=examples(40), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
