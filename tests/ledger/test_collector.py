"""The collector: every request exactly once, wherever it is interrupted."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from extproc.identity.record import Owner
from extproc.ledger.access_log import rotate
from extproc.ledger.collector import Busy, Collected, Collector, Entry
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.ledger.record import Record
from extproc.ledger.report import report
from extproc.ledger.sources import segments
from extproc.ledger.store import Store
from extproc.usage import Usage
from extproc.use import USE_KEY, Use
from tests.ledger.told import PRICES, append, entry, line


class Make(Protocol):
    """Opens a collector that the test need not close."""

    def __call__(self, state: Path, *, grace: float = 5, limit: int = 1000) -> Collector: ...


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def opened(state: Path, *, grace: float = 5, limit: int = 1000) -> Collector:
            collector = Collector(state, PRICES, grace=grace, limit=limit)
            stack.callback(collector.close)
            return collector

        yield opened


def ids(collected: Collected) -> list[str]:
    """Ids of what was collected."""
    return [found.record.id for found in collected.entries]


@pytest.mark.parametrize("line_first", [False, True])
@pytest.mark.parametrize(
    ("details", "status", "outcome"),
    [
        ("upstream_reset_after_response_started{connection_termination}", 200, "provider_broke"),
        ("upstream_reset_after_response_started{protocol_error}", 502, "provider_broke"),
        ("upstream_per_try_idle_timeout", 200, "provider_broke"),
        ("response_timeout", 200, "provider_broke"),
        ("stream_idle_timeout", 200, "provider_broke"),
        ("ext_proc_error_gRPC_error_14{}", 200, "killed"),
        ("downstream_local_disconnect(purging_socket)", 200, "killed"),
        ("downstream_local_disconnect(purging_socket)", 0, "killed"),
        ("downstream_remote_disconnect", 200, "client_closed"),
        ("", 200, "client_closed"),
    ],
)
def test_envoy_knows_who_broke_off(tmp_path: Path, make: Make, details: str, status: int, outcome: str, *, line_first: bool) -> None:
    journal, collector, where = Journal(places(tmp_path).journal, "w"), make(tmp_path), places(tmp_path)
    record = entry("a", outcome="client_closed", status=min(status, 200), partial=True)
    text = line("a", None, details=details, status=status)
    counted: list[Entry] = []
    for step in (line_first, not line_first):
        if step:
            append(where.access_log, text)
        else:
            journal.append(record)
        counted += collector.collect(1000).entries
    (found,) = counted
    assert (found.record.outcome, found.record.status, found.in_ledger) == (outcome, status, True)
    error = "downstream_local_disconnect" if "local" in details else details if details.endswith("_timeout") else ""
    assert found.record.error == error
    assert collector.store.db.execute("SELECT outcome, status, partial, error FROM entries").fetchall() == [(outcome, status, 1, error)]
    assert collector.collect(2000).entries == []


@pytest.mark.parametrize(
    ("use", "outcome", "error"),
    [
        (Use("c", 1, error="bad_provider_answer"), "provider_broke", "bad_provider_answer"),
        (Use("c", 1), "killed", ""),
        (Use("c", 2, error="bad_provider_answer"), "killed", ""),
        (Use("other", 1, error="bad_provider_answer"), "killed", ""),
    ],
)
def test_a_worker_that_breaks_an_answer_off_says_before_why(tmp_path: Path, make: Make, use: Use, outcome: str, error: str) -> None:
    Journal(places(tmp_path).journal, "w").append(entry("a", outcome="client_closed", status=200, partial=True))
    append(places(tmp_path).access_log, line("a", None, details="ext_proc_error_gRPC_error_13{broken_off}", use={USE_KEY: use.encode()}))
    (found,) = make(tmp_path).collect(1000).entries
    assert (found.record.outcome, found.record.error) == (outcome, error)


@pytest.mark.parametrize("line_first", [False, True])
def test_envoy_knows_what_an_upgraded_connection_carried(tmp_path: Path, make: Make, *, line_first: bool) -> None:
    journal, collector, where = Journal(places(tmp_path).journal, "w"), make(tmp_path), places(tmp_path)
    for step in (line_first, not line_first):
        if step:
            append(where.access_log, line("a", None, status=101, bytes_in=70, bytes_out=90, duration_ms=61_000, details="via_upstream"))
            append(where.access_log, line("b", None, status=200, bytes_in=70, bytes_out=90, duration_ms=61_000, details="via_upstream"))
        else:
            journal.append(entry("a", status=101, duration=0.002, bytes_out=80))
            journal.append(entry("b", status=200, duration=0.002))
        collector.collect(1000)
    query = "SELECT outcome, bytes_in, bytes_out, duration FROM entries ORDER BY id"
    assert collector.store.db.execute(query).fetchall() == [("complete", 70, 90, 61.0), ("complete", 0, 0, 0.002)]


def test_without_envoy_s_word_the_client_broke_off(tmp_path: Path, make: Make) -> None:
    journal, collector = Journal(places(tmp_path).journal, "w"), make(tmp_path)
    journal.append(entry("a", outcome="client_closed", status=200, partial=True))
    assert collector.collect(1000).entries == []
    assert collector.store.db.execute("SELECT outcome FROM entries").fetchall() == [("client_closed",)]
    assert ids(collector.collect(1006)) == ["a"]
    assert collector.collect(1012).entries == []


def test_records_are_collected_once_and_finished_segments_removed(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    collector = make(tmp_path)
    assert collector.collect() == Collected()
    journal.append(entry("a"))
    collected = collector.collect()
    assert ids(collected) == ["a"]
    assert collected.entries[0].priced.cost == Decimal("0.0000133")
    assert ids(collector.collect()) == []
    journal.append(entry("b"))
    journal.append(entry("a"))
    assert ids(collector.collect()) == ["b"]
    (path,) = segments(places(tmp_path).journal)
    assert collector.store.sources() == {f"journal/{path.name}": path.stat().st_size}
    journal.close()
    collector.collect()
    assert segments(places(tmp_path).journal) == []
    assert collector.store.sources() == {}
    assert places(tmp_path).database.stat().st_mode & 0o777 == 0o600
    (total,) = report(collector.store)
    assert (total.requests, total.input, total.cost) == (2, 20, Decimal("0.0000266"))


def test_only_one_collects(tmp_path: Path, make: Make) -> None:
    first = make(tmp_path)
    with pytest.raises(Busy, match=f"process {os.getpid()} collects"):
        make(tmp_path)
    first.close()
    Collector(tmp_path, PRICES).close()


def test_a_refused_request_is_told_but_not_entered(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    journal.append(Record(id="a", time=1000.0, outcome="rejected", status=401))
    append(places(tmp_path).access_log, line("a", None, status=500))
    collector = make(tmp_path, grace=5)
    (told,) = collector.collect(now=1000).entries
    assert not told.in_ledger
    assert ids(collector.collect(now=1100)) == []
    assert report(collector.store)[0].requests == 0


def test_torn_and_corrupt_lines_block_nothing(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    journal.append(entry("a"))
    (path,) = segments(places(tmp_path).journal)
    append(path, b"\0\0\0\n[1]\n{}\n\n" + b"[" * 100_000 + b'\n{"id":"n","time":1e300}\n{"id":"n","time":1,"attempts":9007199254740993}\n')
    journal.append(entry("b"))
    collector = make(tmp_path)
    collected = collector.collect()
    assert ids(collected) == ["a", "b"]
    assert collected.corrupt == 6
    append(path, msgspec.json.encode(entry("c"))[:-3])
    assert collector.collect() == Collected()
    journal.close()
    assert collector.collect().corrupt == 1
    assert segments(places(tmp_path).journal) == []
    assert collector.store.corrupt() == 7
    assert collector.store.db.execute("SELECT count(*) FROM corrupt").fetchone() == (7,)


def test_a_line_that_lacks_its_line_feed_alone_counts(tmp_path: Path, make: Make) -> None:
    folder = places(tmp_path).journal
    folder.mkdir(parents=True)
    append(folder / "w-1-1.jsonl", msgspec.json.encode(entry("a")))
    collector = make(tmp_path)
    assert ids(collector.collect()) == ["a"]
    assert segments(folder) == []


def test_an_endless_line_is_skipped(tmp_path: Path, make: Make) -> None:
    folder = places(tmp_path).journal
    folder.mkdir(parents=True)
    append(folder / "w-1-1.jsonl", b"x" * (9 * 1024 * 1024) + b"\n" + msgspec.json.encode(entry("a")) + b"\n")
    collector = make(tmp_path)
    found: list[str] = []
    for _ in range(4):
        found += ids(collector.collect())
    assert found == ["a"]


def test_work_is_done_in_bounded_steps(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w", segment_bytes=2000)
    for number in range(100):
        journal.append(entry(str(number)))
    append(places(tmp_path).access_log, line("99", entry("99")))
    collector = make(tmp_path, limit=7, grace=0)
    found: list[str] = []
    while True:
        collected = collector.collect(now=5000)
        assert len(collected.entries) <= 7
        found += ids(collected)
        if not collected.more:
            break
    assert sorted(found, key=int) == [str(number) for number in range(100)]
    assert {row.group["witness"] for row in report(collector.store, ["witness"])} == {"worker"}


def test_envoy_speaks_for_a_silent_worker_until_it_speaks_itself(tmp_path: Path, make: Make) -> None:
    log = places(tmp_path).access_log
    collector = make(tmp_path, grace=5)
    append(log, line("a", entry("a", usage=Usage(input=5))))
    append(log, line("b", entry("b")))
    assert ids(collector.collect(now=1000)) == []
    journal = Journal(places(tmp_path).journal, "w")
    journal.append(entry("b"))
    assert ids(collector.collect(now=1001)) == ["b"]
    collector.close()
    # What waits, waits through a restart.
    collector = make(tmp_path, grace=5)
    assert ids(collector.collect(now=1004.9)) == []
    (killed,) = collector.collect(now=1005.1).entries
    assert (killed.record.outcome, killed.record.witness, killed.record.partial) == ("killed", "envoy", True)
    append(log, line("a", entry("a", usage=Usage(input=5))))
    assert ids(collector.collect(now=2000)) == []
    journal.append(entry("a"))
    (better,) = collector.collect(now=2000).entries
    assert better.replaces
    rows = report(collector.store, ["witness"])
    assert [(row.group["witness"], row.requests, row.input) for row in rows] == [("worker", 2, 20)]


def test_one_helping_may_hold_the_same_request_more_than_once(tmp_path: Path, make: Make) -> None:
    folder = places(tmp_path).journal
    folder.mkdir(parents=True)
    told = [
        entry("a", witness="envoy", usage=Usage(input=1)),
        entry("b"),
        entry("a", usage=Usage(input=2)),
        entry("a", usage=Usage(input=3)),
        entry("c", witness="envoy"),
        entry("c", outcome="rejected", provider="", attempts=0),
        entry("b", witness="envoy", usage=Usage(input=4)),
    ]
    append(folder / "w-1-1.jsonl", b"".join(msgspec.json.encode(record) + b"\n" for record in told))
    collector = make(tmp_path)
    found = collector.collect().entries
    assert [(one.record.id, one.record.usage.input, one.replaces) for one in found] == [
        ("a", 1, False), ("b", 10, False), ("a", 2, True), ("c", 10, False), ("c", 10, True)
    ]  # fmt: skip
    assert sorted(collector.store.db.execute("SELECT id, input FROM entries")) == [("a", 2), ("b", 10)]
    assert collector.store.witnesses(["a", "b", "c", "d"]) == {"a": "worker", "b": "worker", "c": "worker"}


def test_what_a_failed_commit_made_certain_is_not(tmp_path: Path, make: Make) -> None:
    collector, journal = make(tmp_path, grace=5), Journal(places(tmp_path).journal, "w")
    journal.append(entry("a"))
    append(places(tmp_path).access_log, line("a", entry("a")))
    # The last that is written before the commit.
    collector.store.db.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON sources BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        collector.collect(now=1000)
    collector.store.db.execute("DROP TRIGGER full")
    # The journal is gone, as from a disk that failed: what Envoy tells has to count now.
    (path,) = segments(places(tmp_path).journal)
    path.unlink()
    assert ids(collector.collect(now=1000)) == []
    (rescued,) = collector.collect(now=1006).entries
    assert rescued.record.witness == "envoy"


def test_envoy_waits_for_journals_that_are_not_read_yet(tmp_path: Path, make: Make) -> None:
    collector = make(tmp_path, grace=1, limit=5)
    append(places(tmp_path).access_log, line("late", entry("late")))
    assert ids(collector.collect(now=1000)) == []
    journal = Journal(places(tmp_path).journal, "w")
    for number in range(20):
        journal.append(entry(str(number)))
    journal.append(entry("late"))
    found: list[Entry] = []
    for _ in range(6):
        found += collector.collect(now=2000).entries
    assert len(found) == 21
    assert {one.record.witness for one in found} == {"worker"}


def test_a_rotated_log_is_read_to_its_end_then_removed(tmp_path: Path, make: Make) -> None:
    log = places(tmp_path).access_log
    collector = make(tmp_path, grace=0)
    append(log, line("a", entry("a")))
    assert ids(collector.collect(now=1e9)) == ["a"]
    rotate(log)
    (old,) = tmp_path.glob("access.log.*")
    append(old, line("b", entry("b")))
    assert ids(collector.collect(now=1e9)) == ["b"]
    append(log, line("c", entry("c")))
    assert ids(collector.collect(now=1e9)) == ["c"]
    assert old.exists()
    later = old.stat().st_mtime + 100
    collector.collect(now=later)
    assert not old.exists()
    collector.close()
    collector = make(tmp_path, grace=0)
    assert ids(collector.collect(now=later)) == []


def test_a_report_while_collecting(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    journal.append(entry("a"))
    collector = make(tmp_path)
    collector.collect()
    reader = Store(places(tmp_path).database, read_only=True)
    with collector.store.transaction():
        collector.store.put(entry("b"), PRICES.price(entry("b")), 0)
        assert report(reader)[0].requests == 1
    assert report(reader)[0].requests == 2
    with pytest.raises(sqlite3.OperationalError):
        reader.forget_settled(0)
    reader.close()


def test_a_full_disk_loses_nothing(tmp_path: Path, make: Make) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    for number in range(500):
        journal.append(entry(f"{number}{'x' * 100}"))
    collector = make(tmp_path)
    collector.store.db.execute("PRAGMA max_page_count = 1")
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            collector.collect()
    collector.store.db.execute("PRAGMA max_page_count = 100000")
    assert len(collector.collect().entries) == 500


def test_a_segment_that_cannot_be_read_blocks_no_other(tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    (places(tmp_path).journal / "a-1-1.jsonl").mkdir(parents=True)
    places(tmp_path).access_log.mkdir()
    Journal(places(tmp_path).journal, "w").append(entry("a"))
    collector = make(tmp_path)
    assert ids(collector.collect()) == ["a"]
    assert ids(collector.collect()) == []
    assert len(caplog.records) == 1


def test_an_entry_says_whose_it_is_and_how_long_it_took(tmp_path: Path, make: Make) -> None:
    owner = Owner("org", "proj", "team", "user")
    told = {"owner": owner, "key_id": "key_1", "end_user": "eve", "tags": {"b": "2", "a": "1"}, "cost_centre": "4711"}
    times = {"queue": 0.5, "ours": 0.25, "first_token": 1.5}
    Journal(places(tmp_path).journal, "w").append(entry("a", **told, **times))
    append(places(tmp_path).access_log, line("b", entry("b", **told, **times), status=500))
    collector = make(tmp_path, grace=1)
    collector.collect(1000)
    collector.collect(1002)
    columns = "id, organization, project, team, user_id, service_account, key_id, end_user, tags, cost_centre, queue, ours, first_token"
    rows = collector.store.db.execute(f"SELECT {columns} FROM entries ORDER BY id").fetchall()
    expected = ("org", "proj", "team", "user", "", "key_1", "eve", '{"a":"1","b":"2"}', "4711", 0.5, 0.25, 1.5)
    assert rows == [("a", *expected), ("b", *expected)]
    assert [row.group for row in report(collector.store, ["team", "user"])] == [{"team": "team", "user": "user"}]
