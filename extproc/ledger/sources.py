"""The files that the ledger is made of: workers' segments and Envoy's access logs. Knows which have grown and which are finished.

A segment is known by its name, which is never used twice. An access log is renamed when it is rotated, and inode numbers are used
again, so it is known by the digest of its first line, which holds a request id and a time.
"""

import fcntl
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from extproc.ledger.access_log import rotated
from extproc.ledger.tail import Lines, read_lines

_HEAD = 64 * 1024
_QUIET = 60.0


class Reading(Struct):
    """What was read from one source."""

    source: str
    """Name in the table of sources."""
    path: Path
    journal: bool
    """True: a segment of the journal. False: an access log."""
    lines: Lines
    finished: bool
    """True: nobody will append to it."""
    size: int
    inode: int

    @property
    def exhausted(self) -> bool:
        """Nothing is left to read, now or later."""
        return self.finished and not self.lines.more and self.lines.offset >= self.size


def segments(folder: Path) -> list[Path]:
    """The journal's segments, oldest first within each worker."""
    try:
        with os.scandir(folder) as found:
            return sorted(Path(entry.path) for entry in found if entry.name.endswith(".jsonl"))
    except FileNotFoundError:
        return []


def read_segment(path: Path, offset: int, limit: int) -> Reading | None:
    """Read on in a segment. None: nothing is new, or it was empty and abandoned, and is removed. Raises OSError."""
    finished, size = _probe(path)
    if size <= offset and not finished:
        return None
    if size == 0:
        return None
    lines = read_lines(path, offset, limit, finished=finished)
    if lines.offset == offset and not finished:
        return None
    return Reading(f"journal/{path.name}", path, True, lines, finished, size, 0)


def _probe(path: Path) -> tuple[bool, int]:
    """Is its writer gone, or gone on? And its size, not smaller than what the writer has appended in the first case."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False, os.fstat(fd).st_size
        size = os.fstat(fd).st_size
        if size == 0:
            # Under the lock: a writer that has created it just now sees that it is gone, and creates another.
            path.unlink(missing_ok=True)
        return True, size
    finally:
        os.close(fd)


class Logs:
    """Envoy's access log and its rotated files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[int, tuple[int, str]] = {}
        """By inode: the size up to which all was read, and the source's name."""

    def read(self, offsets: dict[str, int], limit: int, now: float) -> tuple[list[Reading], bool]:
        """Read on, the oldest file first. True: there is more to read at once. Raises OSError."""
        found: list[Reading] = []
        live = self._path.exists()
        for path in [*rotated(self._path), self._path]:
            if limit <= 0:
                return found, True
            try:
                reading = self._read(path, offsets, limit, now if live else 0.0)
            except FileNotFoundError:
                continue
            if reading is not None:
                limit -= len(reading.lines.lines)
                found.append(reading)
        return found, any(reading.lines.more for reading in found)

    def present(self) -> set[str]:
        """Names of the sources that there are."""
        found: set[str] = set()
        for path in [*rotated(self._path), self._path]:
            with suppress(FileNotFoundError):
                found.add(_digest(path))
        return found

    def taken(self, reading: Reading) -> None:
        """What was read is in the ledger."""
        if not reading.lines.more:
            self._seen[reading.inode] = (reading.size, reading.source)

    def gone(self, reading: Reading) -> None:
        """The file was removed."""
        if not reading.journal:
            self._seen.pop(reading.inode, None)

    def _read(self, path: Path, offsets: dict[str, int], limit: int, now: float) -> Reading | None:
        stat = path.stat()
        # A rotated file is Envoy's until it has reopened the log, and for the moment that its flush takes.
        finished = path != self._path and stat.st_mtime < now - _QUIET
        size, source = self._seen.get(stat.st_ino, (-1, ""))
        if size == stat.st_size and not finished:
            return None
        source = _digest(path)
        if not source:
            return None
        offset = offsets.get(source, 0)
        lines = read_lines(path, offset, limit, finished=finished)
        return Reading(source, path, False, lines, finished, stat.st_size, stat.st_ino)


def _digest(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, _HEAD, 0)
    finally:
        os.close(fd)
    end = head.find(b"\n")
    if end < 0 and len(head) < _HEAD:
        return ""
    return f"log/{blake2b(head[:end] if end >= 0 else head, digest_size=16).hexdigest()}"
