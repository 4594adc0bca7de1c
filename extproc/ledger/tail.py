"""Reads files that others append to, from where the last reading ended.

A line counts only with its line feed. What follows the last line feed is left for the next time, unless the file is finished.
"""

import os
from pathlib import Path

from msgspec import Struct

CHUNK = 4 * 1024 * 1024
"""Most bytes read at once; a longer line is no line of ours."""


class Lines(Struct):
    """What one reading found."""

    lines: list[tuple[int, bytes]]
    """Offset and content of each whole line, without its line feed."""
    offset: int
    """Where the next reading begins."""
    more: bool = False
    """True: there is more to read at once."""
    oversize: list[tuple[int, bytes]] = []
    """Offset and first bytes of what is too long to be a line; it is skipped."""


def read_lines(path: Path, offset: int, limit: int, *, finished: bool = False, chunk: int = CHUNK) -> Lines:
    """Read at most `limit` lines from `offset` on. `finished`: nobody will append any more, so a rest without line feed is a line too.

    Raises OSError, FileNotFoundError among them.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, chunk, offset)
    finally:
        os.close(fd)
    lines: list[tuple[int, bytes]] = []
    position = 0
    while len(lines) < limit:
        end = data.find(b"\n", position)
        if end < 0:
            break
        if end > position:
            lines.append((offset + position, data[position:end]))
        position = end + 1
    whole = len(data) == chunk
    stopped = len(lines) >= limit and position < len(data)
    if not stopped and whole and position == 0:
        return Lines([], offset + len(data), True, [(offset, data[:1024])])
    if finished and not stopped and not whole and position < len(data):
        lines.append((offset + position, data[position:]))
        position = len(data)
    return Lines(lines, offset + position, stopped or whole)
