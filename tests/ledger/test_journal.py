"""The journal: on disk at once, whole or not at all, and never in a request's way."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from extproc.ledger.journal import Journal
from extproc.ledger.record import Record
from extproc.ledger.sources import read_segment, segments
from extproc.usage import Usage


def read(folder: Path) -> list[Record]:
    """All records, segment by segment."""
    return [msgspec.json.decode(line, type=Record) for path in segments(folder) for line in path.read_bytes().splitlines()]


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "worker-0")
    assert segments(tmp_path / "journal") == []
    record = Record(id="a", time=1.5, key="k", usage=Usage(input=3, output=4, cache_read=1))
    journal.append(record)
    assert read(tmp_path / "journal") == [record]
    (path,) = segments(tmp_path / "journal")
    assert path.name.startswith(f"worker_0-{os.getpid()}-")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (journal.written, journal.failures, journal.lost, journal.waiting, journal.on_disk) == (1, 0, 0, 0, True)


def test_a_segment_is_locked_until_its_writer_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w", segment_bytes=100)
    journal.append(Record(id="a" * 120, time=1))
    journal.append(Record(id="b", time=1))
    first, second = segments(tmp_path)
    with first.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with second.open("rb+") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.close()
    with second.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.append(Record(id="c", time=1))
    assert [record.id[0] for record in read(tmp_path)] == ["a", "b", "c"]


def test_what_json_cannot_say_is_cleaned(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w")
    journal.append(Record(id="a", time=1, model="gpt\ud800", usage=Usage(input=7)))
    (record,) = read(tmp_path)
    assert record.model == "gpt?"
    assert record.usage.input == 7


def test_a_removed_folder_is_made_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "w")
    journal.append(Record(id="a", time=1))
    shutil.rmtree(tmp_path / "journal")
    journal.flush()
    journal.append(Record(id="b", time=1))
    assert [record.id for record in read(tmp_path / "journal")] == ["b"]


def test_an_unusable_folder_costs_no_request_and_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "journal"
    folder.write_text("not a folder")
    journal = Journal(folder, "w", waiting_limit=3)
    for number in range(5):
        journal.append(Record(id=str(number), time=1))
        assert not journal.on_disk
    assert (journal.written, journal.waiting, journal.lost) == (0, 3, 2)
    assert journal.failures >= 3
    assert len(caplog.records) == 1
    folder.unlink()
    journal.flush()
    journal.append(Record(id="5", time=1))
    assert [record.id for record in read(folder)] == ["0", "1", "2", "5"]
    assert journal.waiting == 0


FULL_DISK = """
import resource, sys
from pathlib import Path
from extproc.ledger.journal import Journal
from extproc.ledger.record import Record

journal = Journal(Path(sys.argv[1]), "w")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
for number in range(40):
    journal.append(Record(id=f"request-{number}", time=1.0))
assert journal.waiting and journal.failures, "the disk was not full"
if sys.argv[2] == "moves":
    for path in Path(sys.argv[1]).iterdir():
        path.unlink()
if sys.argv[2] != "dies":
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.flush()
    assert not journal.waiting
    journal.append(Record(id="request-40", time=1.0))
print(journal.written)
"""


@pytest.mark.parametrize("then", ["recovers", "dies"])
def test_a_full_disk_within_a_line(tmp_path: Path, then: str) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path), then], capture_output=True, text=True, check=True)
    written = int(done.stdout)
    (path,) = segments(tmp_path)
    lines = path.read_bytes().split(b"\n")
    assert [msgspec.json.decode(line)["id"] for line in lines[:-1]] == [f"request-{number}" for number in range(written)]
    assert written == 41 if then == "recovers" else 0 < written < 40
    assert (lines[-1] == b"") is (then == "recovers")
    assert done.stderr.count("cannot be written") == 1


def test_a_line_begun_in_a_segment_that_is_gone_is_whole_in_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path), "moves"], capture_output=True, check=True)
    numbers = [int(record.id.removeprefix("request-")) for record in read(tmp_path)]
    assert numbers == list(range(numbers[0], 41))
    assert 0 < numbers[0] < 40


def test_a_segment_is_never_removed_under_its_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w", segment_bytes=1)
    done = threading.Event()
    found: list[str] = []

    def collect() -> None:
        while not done.is_set():
            sweep()

    def sweep() -> None:
        for path in segments(tmp_path):
            reading = read_segment(path, 0, 10)
            if reading is not None and reading.exhausted:
                found.extend(msgspec.json.decode(line, type=Record).id for _, line in reading.lines.lines)
                path.unlink()

    thread = threading.Thread(target=collect)
    thread.start()
    for number in range(3000):
        journal.append(Record(id=str(number), time=1.0))
    journal.close()
    done.set()
    thread.join()
    sweep()
    # Not in order: who lists a folder while files come and go may see a later one first.
    assert sorted(map(int, found)) == list(range(3000))


def test_appending_is_cheap(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w")
    record = Record(id="0" * 36, time=1.0, key="k", provider="openai", target="gpt-4o", usage=Usage(input=100, output=10))
    began = time.perf_counter()
    for _ in range(2000):
        journal.append(record)
    # Generous: some microseconds on an idle machine.
    assert (time.perf_counter() - began) / 2000 < 0.001
