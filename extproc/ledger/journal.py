"""The journal: a worker's append-only record of ended requests, on disk before anything else hears of them.

A record is one JSON line, written by one `write` to a file opened with O_APPEND, so what was appended survives the death of the
process at any point (not a power cut: nothing is synced while a request waits). Segments are `<worker>-<pid>-<n>.jsonl`, where `n` is
the clock in nanoseconds, hence never used twice, even where every container's worker has the same pid.

A segment is locked (flock) as long as its writer lives and uses it. The kernel gives the lock up with the process, whichever way it
dies, so the collector can tell a segment that is finished from one that will grow, also across pid namespaces.
"""

import fcntl
import logging
import os
import re
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from extproc.ledger.record import Record

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
WAITING_RECORDS = 10_000
_COMPLAIN_EVERY = 60.0


class Journal:
    """One worker's journal. Opens its first segment at the first record; never raises into a request.

    While the disk refuses, records wait in memory (at most `waiting_limit`, the newest are lost beyond that) and are tried again
    with every append and every `flush`. Not for use by several threads at once.
    """

    def __init__(self, folder: Path, worker_name: str, *, segment_bytes: int = SEGMENT_BYTES, waiting_limit: int = WAITING_RECORDS) -> None:
        self.folder = folder
        self.written = 0
        """Records on disk."""
        self.failures = 0
        """Attempts at writing that the disk refused."""
        self.lost = 0
        """Records given up: no room in memory either, or no JSON can say them."""
        self.on_disk = False
        """The record that was appended last is on disk; otherwise it waits in memory, or is lost."""
        self._prefix = f"{re.sub(r'[^A-Za-z0-9_.]', '_', worker_name)}-{os.getpid()}"
        self._segment_bytes = segment_bytes
        self._waiting_limit = waiting_limit
        self._waiting: deque[bytes] = deque()
        self._fd = -1
        self._size = 0
        self._begun = 0
        """Bytes of the first waiting line that are in the segment already: the disk filled up within it."""
        self._complained = float("-inf")
        self._encoder = msgspec.json.Encoder()

    @property
    def waiting(self) -> int:
        """Records in memory that the disk has not taken yet."""
        return len(self._waiting)

    def append(self, record: Record) -> None:
        """Write one record down."""
        self.on_disk = False
        try:
            line = self._encoder.encode(record)
        except (ValueError, TypeError, OverflowError):
            cleaned = self._encode_cleaned(record)
            if cleaned is None:
                self._lose(1, "a record cannot be written as JSON")
                return
            line = cleaned
        if len(self._waiting) >= self._waiting_limit:
            self._write()
        if len(self._waiting) >= self._waiting_limit:
            self._lose(1, "the disk takes no records and memory holds as many as it may")
            return
        self._waiting.append(line + b"\n")
        self._write()
        self.on_disk = not self._waiting

    def flush(self) -> None:
        """Try again what the disk refused, and start over if somebody removed our segment. Call about once a second."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self._release()
        if self._waiting:
            self._write()

    def close(self) -> None:
        """Write what waits, as far as the disk takes it, and finish the segment."""
        self.flush()
        if self._waiting:
            self._lose(len(self._waiting), "closing with records that the disk does not take")
            self._waiting.clear()
        self._release()

    def _write(self) -> None:
        try:
            while self._waiting:
                if self._fd < 0 or (self._size >= self._segment_bytes and not self._begun):
                    self._open()
                line = self._waiting[0]
                done = os.write(self._fd, line[self._begun :] if self._begun else line)
                self._size += done
                self._begun += done
                if self._begun < len(line):
                    continue
                self._waiting.popleft()
                self._begun = 0
                self.written += 1
        except OSError as error:
            self.failures += 1
            self._complain(f"the journal in {self.folder} cannot be written ({error}); {len(self._waiting)} records wait in memory")

    def _open(self) -> None:
        self._release()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self.folder / f"{self._prefix}-{time.time_ns()}.jsonl"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            except OSError:
                os.close(fd)
                raise
            if os.fstat(fd).st_nlink:
                self._fd, self._size = fd, 0
                return
            # Between open and flock the collector took the new file for a finished one, and removed it.
            os.close(fd)

    def _release(self) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1
            # A line begun there is written anew, whole, into the next segment; the collector drops the torn one.
            self._begun = 0

    def _encode_cleaned(self, record: Record) -> bytes | None:
        """The record with strings made valid Unicode: lone surrogates may come from a caller's JSON."""
        strings = {
            name: value.encode("utf-8", "replace").decode()
            for name in record.__struct_fields__
            if isinstance(value := getattr(record, name), str)
        }
        try:
            return self._encoder.encode(msgspec.structs.replace(record, **strings))
        except (ValueError, TypeError, OverflowError):
            return None

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        self._complain(f"{why}; {self.lost} records lost so far")

    def _complain(self, message: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_EVERY:
            self._complained = now
            log.error(message)
