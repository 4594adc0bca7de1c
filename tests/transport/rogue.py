"""A client of a `Connection` that may do as it likes, a driver that does as it is told, and what both cost."""

import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits, Rate
from extproc.transport.http2.stream import End, Stream
from tests import frames
from tests.frames import METHOD, Code, Frame, number, request

MIB = 1 << 20
SMALL = Limits(streams=200, message=4 * MIB, memory=4 * MIB, window=65_535, connection_window=MIB, resets=Rate(5_000, 400))
BLOCK = request()

React = Callable[[Stream, bytes | End], object]


class Rogue:
    """A client that does as it likes, and a driver that does as it is told."""

    def __init__(self, limits: Limits = SMALL, *, greet: bytes = frames.HELLO, window: int | None = None) -> None:
        self.connection = Connection({METHOD}, limits)
        self.heard: list[Frame] = []
        self.now = 1_000.0
        self.newest = -1
        self.send(greet)
        # The first block says that there is no table, so that all others are the same bytes.
        self.begin(block=frames.TABLE_SIZE_0 + BLOCK)
        self.send(number(frames.RST_STREAM, 1, Code.CANCEL))
        if window is not None:
            self.send(frames.settings((frames.INITIAL_WINDOW_SIZE, window)))
        self.heard.clear()

    def send(self, data: bytes, react: React | None = None) -> int:
        """How many events came of it."""
        events = self._handle(self.connection.receive(data, self.now), react)
        while self.connection.ready:
            events += self._handle(self.connection.go_on(), react)
        return events

    def _handle(self, happened: Iterable[Event], react: React | None) -> int:
        events = 0
        for stream, what in happened:
            events += 1
            if react is not None:
                react(stream, what)
        self.heard += frames.parse(b"".join(self.connection.take()))
        return events

    def begin(self, block: bytes = BLOCK, *, end: bool = False) -> int:
        self.newest += 2
        self.send(frames.headers(self.newest, block, end=end))
        return self.newest

    def echo(self, stream: Stream, what: bytes | End) -> None:
        if isinstance(what, bytes):
            self.connection.reply(stream, what)
        else:
            self.connection.finish(stream)

    def hold(self, stream: Stream, what: bytes | End) -> None:
        self.connection.hold(stream)

    @property
    def goodbye(self) -> int | None:
        """The code of the GOAWAY."""
        last = self.heard[-1] if self.heard else None
        assert self.connection.closed is (last is not None and last.kind == frames.GOAWAY)
        return last.code if last is not None and self.connection.closed else None

    def until_goodbye(self, flood: bytes | Callable[[], bytes], most: int, react: React | None = None) -> int:
        """How often it could be sent."""
        for count in range(most):
            if self.connection.closed:
                return count
            self.send(flood if isinstance(flood, bytes) else flood(), react)
            del self.heard[:-1]
        pytest.fail(f"still there after {most}")


@contextmanager
def memory(most: int) -> Iterator[Callable[[], int]]:
    """What is allocated in it and still there at its end, or at its highest, is at most this. Gives a way to look."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield lambda: tracemalloc.get_traced_memory()[0] - before
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak <= most, f"{peak} bytes instead of {most}"


def work(act: Callable[[], object]) -> int:
    """How many functions it calls, ours and Python's."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls
