"""Collects the workers' journals and Envoy's access log into the ledger, exactly once, whatever dies when.

What was read and how far the files have been read are committed in one transaction, so both are true or neither is. A request is known
by its id: it becomes one entry, and the worker's word replaces Envoy's. A file that is wholly read is first marked so on disk, then
removed. No line ever blocks the ones behind it: what cannot be read is counted and kept aside.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.ledger.access_log import Verdict, line_id, read_line, verdict
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook, Priced
from extproc.ledger.recent import Recent
from extproc.ledger.record import Record
from extproc.ledger.sources import Logs, Reading, read_segment, segments
from extproc.ledger.spent import Spent
from extproc.ledger.store import Store, is_entry
from extproc.usage import COUNTS

log = logging.getLogger(__name__)

GRACE = 5.0
_REMEMBER = 600.0
_TIDY_EVERY = 60.0
_COMPLAIN_EVERY = 60.0
_LATEST = 32_503_680_000.0
_MOST = 2**53
_SWITCHED = 101
_UPGRADED = b'"status":101'
_NOT_PRICED = Priced()
_counts = attrgetter(*(f"usage.{name}" for name in COUNTS), "amount", "attempts", "status", "bytes_in", "bytes_out")


class Busy(RuntimeError):
    """Somebody else collects already."""


class Entry(Struct):
    """A request that was collected just now."""

    record: Record
    priced: Priced
    """Unpriced also for what is no entry of the ledger: see `in_ledger`."""
    in_ledger: bool
    """False: refused or ended before a provider or the cache was reached; it counts in the metrics alone."""
    replaces: bool
    """True: Envoy's word for it had been collected before, and counted."""


class Collected(Struct):
    """What one call has collected."""

    entries: list[Entry] = []
    corrupt: int = 0
    """Lines that nobody could read."""
    more: bool = False
    """True: the limit was reached; call again at once."""


class Collector:
    """The one collector of a state folder. For one thread at a time."""

    def __init__(
        self,
        state: Path,
        prices: PriceBook,
        *,
        access_log: Path | None = None,
        clusters: Mapping[str, str] | None = None,
        grace: float = GRACE,
        limit: int = 1000,
    ) -> None:
        """`access_log`: Envoy's, `state/access.log` unless given. `clusters`: provider names by Envoy cluster.

        `grace`: seconds that a worker has, after Envoy's line, to tell by itself. `limit`: most lines read, and entries made, at a time.
        Raises Busy when another process collects there, sqlite3.Error and OSError when the state folder cannot be used.
        """
        where = places(state)
        self.prices = prices
        """May be replaced when the configuration changes."""
        self.clusters = dict(clusters or {})
        self._journal, self._grace, self._limit = where.journal, grace, limit
        self._logs = Logs(access_log or where.access_log)
        self._lock = _lock(where.lock)
        try:
            self.store = Store(where.database)
            self.spent = Spent(self.store.db)
            self._sources = self.store.sources()
            self._waiting = self.store.waiting()
            self._forget_missing()
        except BaseException:
            os.close(self._lock)
            raise
        self._decode = msgspec.json.Decoder(Record).decode
        self._told = Recent()
        """Of these requests the ledger knows: only Envoy's line is still to come."""
        self._tidied = 0.0
        self._complained = float("-inf")
        self._corrupt = 0
        self._doubt = False
        self._unsure: dict[str, tuple[float, Entry]] = {}
        """Entries that a worker says the client broke off, and until when Envoy may say otherwise: they are not counted before."""
        self._blind = False
        """True: Envoy's log cannot be read, so ids without an entry are not forgotten: their lines may still come."""

    def close(self) -> None:
        """Let another process collect. More than once does no harm."""
        self.store.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def collect(self, now: float | None = None) -> Collected:
        """Collect what is new. Raises sqlite3.Error or OSError when the disk refuses: nothing is lost then, call again later."""
        now = time.time() if now is None else now
        try:
            if self._doubt:
                # A commit that failed may have reached the disk all the same: the disk knows.
                self._sources, self._waiting, self._doubt = self.store.sources(), True, False
            return self._collect(now)
        except BaseException:
            self._doubt = True
            self._told.clear()
            raise

    def _collect(self, now: float) -> Collected:
        readings, more = self._read(now)
        collected = Collected(more=more)
        tidy = now - self._tidied >= _TIDY_EVERY and not more and not self._blind
        if readings or self._waiting or tidy:
            with self.store.transaction():
                for reading in readings:
                    self._take_reading(reading, collected, now)
                if not more:
                    self._take_due(collected, now)
                if tidy:
                    self.store.forget_settled(now - _REMEMBER)
                waiting = self.store.waiting()
            self._waiting = waiting
            self._tidied = now if tidy else self._tidied
        for id in [id for id, (until, _) in self._unsure.items() if until <= now]:
            collected.entries.append(self._unsure.pop(id)[1])
        for reading in readings:
            self._sources[reading.source] = reading.lines.offset
            if not reading.journal:
                self._logs.taken(reading)
        self._finish([reading for reading in readings if reading.exhausted])
        if collected.corrupt:
            self._corrupt += collected.corrupt
            self._complain(f"the ledger has put aside {self._corrupt} lines so far that nobody can read")
        return collected

    def _read(self, now: float) -> tuple[list[Reading], bool]:
        """Whatever is new, journals first: Envoy's lines wait for them."""
        readings: list[Reading] = []
        limit = self._limit
        for path in segments(self._journal):
            if limit <= 0:
                return readings, True
            try:
                reading = read_segment(path, self._sources.get(f"journal/{path.name}", 0), limit)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._complain(f"the ledger cannot read {path}: {error}")
                continue
            if reading is not None:
                readings.append(reading)
                limit -= len(reading.lines.lines)
        more = any(reading.lines.more for reading in readings)
        if more or limit <= 0:
            return readings, True
        try:
            logs, more = self._logs.read(self._sources, limit, now)
        except OSError as error:
            self._complain(f"the ledger cannot read Envoy's access log: {error}")
            self._blind = True
            return readings, False
        self._blind = False
        return readings + logs, more

    def _take_reading(self, reading: Reading, collected: Collected, now: float) -> None:
        records: list[Record] = []
        for offset, line in reading.lines.lines:
            try:
                if reading.journal:
                    record = self._decode(line)
                    _check(record)
                    records.append(record)
                else:
                    self._take_line(line, collected, now)
            except (ValueError, OverflowError, RecursionError):
                self._put_aside(reading.source, offset, line, collected, now)
        for offset, line in reading.lines.oversize:
            self._put_aside(reading.source, offset, line, collected, now)
        self._take(records, collected, now)
        self.store.advance(reading.source, reading.lines.offset)

    def _put_aside(self, source: str, offset: int, line: bytes, collected: Collected, now: float) -> None:
        collected.corrupt += 1
        self.store.quarantine(source, offset, line, now)

    def _take(self, records: Sequence[Record], collected: Collected, now: float) -> None:
        """Enter all of these requests that are news."""
        known = self.store.witnesses([record.id for record in records])
        fresh: list[tuple[Record, Priced]] = []
        for record in records:
            before = known.get(record.id, "")
            if before in ("worker", record.witness):
                continue
            known[record.id] = record.witness
            entry = self._entry(record, collected, now, replaces=bool(before))
            if before:
                # What is replaced may be among the fresh ones.
                self.store.add(fresh, now)
                fresh.clear()
                self.store.put(record, entry.priced, now)
            else:
                fresh.append((record, entry.priced))
        self.store.add(fresh, now)
        if self._waiting:
            self.store.stop_waiting(record.id for record in records)
        self._told.update(record.id for record in records)

    def _entry(self, record: Record, collected: Collected, now: float, *, replaces: bool) -> Entry:
        if record.status == _SWITCHED and self._waiting and (text := self.store.line(record.id)) and (seen := read_line(text)) is not None:
            _measure(record, seen.record)
        # Whoever broke it off: Envoy knows.
        open_question = record.outcome == "client_closed"
        if open_question and self._waiting and (line := self.store.line(record.id)):
            open_question = False
            if (told := verdict(line)) is not None:
                _settle(record, told)
        in_ledger = is_entry(record)
        entry = Entry(record, self.prices.price(record) if in_ledger else _NOT_PRICED, in_ledger, replaces)
        self.spent.enter(record, entry.priced, now, in_ledger=in_ledger, replaces=replaces)
        if open_question:
            self._unsure[record.id] = (now + self._grace, entry)
        else:
            collected.entries.append(entry)
        return entry

    def _take_line(self, text: bytes, collected: Collected, now: float) -> None:
        id = self._told.take(text)
        if not id:
            id = line_id(text)
            if not id or not self.store.witness(id):
                line = read_line(text, self.clusters)
                if line is not None and line.counts:
                    _check(line.record)
                    self.store.wait(id, now + self._grace, text)
                return
        self._ask_envoy(id, text, collected)

    def _ask_envoy(self, id: str, text: bytes, collected: Collected) -> None:
        """Envoy's line for a request that its worker has told of."""
        if _UPGRADED in text and (line := read_line(text)) is not None:
            _check(line.record)
            self.store.measured(line.record)
        told = verdict(text)
        if told is not None:
            self.store.broke(id, *told)
        if id in self._unsure:
            _, entry = self._unsure.pop(id)
            if told is not None:
                _settle(entry.record, told)
            collected.entries.append(entry)

    def _take_due(self, collected: Collected, now: float) -> None:
        due = self.store.due(now, now + 2 * self._grace, self._limit)
        self.store.stop_waiting(id for id, _ in due)
        records: list[Record] = []
        for _, text in due:
            try:
                line = read_line(text, self.clusters)
                if line is not None:
                    _check(line.record)
                    records.append(line.record)
            except (ValueError, OverflowError):
                self._put_aside("pending", 0, text, collected, now)
        self._take(records, collected, now)

    def _finish(self, exhausted: list[Reading]) -> None:
        """Remove files that are wholly read. Their entries are on disk first, whatever happens to the machine."""
        if not exhausted:
            return
        try:
            with self.store.transaction(durable=True):
                self.store.finish(reading.source for reading in exhausted)
            for reading in exhausted:
                reading.path.unlink(missing_ok=True)
                self._logs.gone(reading)
                self._sources.pop(reading.source, None)
            with self.store.transaction():
                self.store.drop_sources(reading.source for reading in exhausted)
        except (OSError, sqlite3.Error) as error:
            # They are found again, with nothing in them to read, until it succeeds.
            self._complain(f"files that the ledger has collected cannot be removed: {error}")

    def _complain(self, message: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_EVERY:
            self._complained = now
            log.warning(message)

    def _forget_missing(self) -> None:
        try:
            present = {f"journal/{path.name}" for path in segments(self._journal)} | self._logs.present()
        except OSError:
            # What cannot be read now may come back; read again from its beginning, it would be taken for new.
            return
        missing = [source for source in self._sources if source not in present]
        if missing:
            with self.store.transaction():
                self.store.drop_sources(missing)
            for source in missing:
                del self._sources[source]


def _measure(record: Record, seen: Record) -> None:
    """An upgraded connection: of what the client sent, and often of all that came after the head, only Envoy knows."""
    record.bytes_in, record.bytes_out = seen.bytes_in, max(record.bytes_out, seen.bytes_out)
    record.duration = max(record.duration, seen.duration)


def _settle(record: Record, told: Verdict) -> None:
    record.outcome, record.status, record.error = told.outcome, told.status, record.error or told.error


def _check(record: Record) -> None:
    """Raise ValueError for what no worker of ours writes, so that nonsense stops here and not in a sum of money."""
    counts = _counts(record)
    if not record.id or not 0 <= record.time < _LATEST or min(counts) < 0 or max(counts) >= _MOST:
        raise ValueError("a record beyond reason")


def _lock(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise Busy(f"process {holder} collects the ledger in {path.parent} already; only one may") from None
    except OSError:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
