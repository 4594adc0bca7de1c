"""A coverage-guided fuzz target: whatever comes, in whatever pieces, and whatever the driver does meanwhile, a `Connection` keeps its word.

    python -m tests.fuzz.http2_connection -max_total_time=600 build/fuzz build/seeds      (libFuzzer's arguments; `make fuzz`)
    python -m tests.fuzz.http2_connection build/crash-...                                 (that input once more)

An input is a list of steps, and before them one byte: odd, if a client has already greeted. A step is one byte, whose lowest three bits
say what is done, and a few bytes after it (`Run.step`). Bytes that a real client has sent fit into it, and so do frames whose length is
always right, which lets the fuzzer get behind the first one. `seeds.py` writes such inputs; tests/transport/corpus has what clients sent.
"""

import importlib
import sys
from collections.abc import Callable, Iterable

from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Status
from tests import frames
from tests.frames import DATA, END_STREAM, GOAWAY, HEADERS, LARGEST, METHOD, RST_STREAM, WINDOW_UPDATE

# Small, so that each is reached.
LIMITS = Limits(
    streams=8,
    message=30_000,
    memory=40_000,
    answers=5_000,
    window=65_535,
    connection_window=100_000,
    headers=2_048,
    continuations=3,
    known_blocks=4,
)
METHODS = frozenset({METHOD, b"/envoy.service.ext_proc.v3.ExternalProcessor/Process"})
_MOST_STEPS = 400
"""What comes after that in an input is not played: the fuzzer shall not get slow."""
_STATUSES = (Status.OK, Status.INTERNAL, Status.RESOURCE_EXHAUSTED, Status.UNAVAILABLE)


class Steps:
    """Reads an input."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> bool:
        return self._at < len(self._data)

    def bytes(self, size: int) -> bytes:
        """The next bytes, or what is left of them."""
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.bytes(size), "big")


def raw(data: bytes) -> bytes:
    """A step: these bytes come, in one piece. For those who write inputs, as are the next four."""
    return b"".join(
        bytes((0, *len(data[begin : begin + 65_535]).to_bytes(2, "big"))) + data[begin : begin + 65_535]
        for begin in range(0, len(data), 65_535)
    )


def call(*, end: bool = False) -> bytes:
    """A step: a client begins the next stream: 1, 3, 5, ..."""
    return bytes((2, 0x80, END_STREAM if end else 0, 0, 0))


def say(stream: int, content: bytes, *, end: bool = False, times: int = 1) -> bytes:
    """A step: a message comes, of so many times this content, alone in its frame."""
    return bytes((2, 0x40, (times - 1) << 2 | (END_STREAM if end else 0), stream, len(content))) + content


def drip(data: bytes) -> bytes:
    """A step: these bytes come, one at a time."""
    return bytes((1, *len(data).to_bytes(2, "big"))) + data


def act(what: int, which: int = 0, size: int = 0) -> bytes:
    """A step of the driver's: 3 replies, 4 holds, 5 resumes, 6 finishes, 7 leaves or pauses; to the open stream of that place."""
    return bytes((what, which, *size.to_bytes(2, "big")))


class Told:
    """What the output has said of one stream, and the driver of its replies."""

    def __init__(self) -> None:
        self.replied = bytearray()
        self.sent = 0
        self.headed = self.ended = self.reset = False
        self.done = self.gone = self.finished = False


class Run:
    """One connection under fire, and what has to be true of it at any time."""

    def __init__(self) -> None:
        self.connection = Connection(METHODS, LIMITS)
        self.told: dict[int, Told] = {}
        self.now = 0.0
        self.talked: set[int] = set()
        """Streams of which something has come."""
        self.newest, self.block_start = -1, frames.TABLE_SIZE_0
        self.listen()

    def play(self, data: bytes) -> None:
        """Plays an input, checks after every step, and tidies up: after that nothing may be left."""
        steps = Steps(data)
        if steps.number() & 1:
            # Most inputs begin right: few would come to it by themselves.
            self.come(frames.HELLO)
        for _ in range(_MOST_STEPS):
            if not steps.left():
                break
            self.step(steps)
            self.check()
        self.end()

    def step(self, steps: Steps) -> None:
        what = steps.number()
        match what & 7:
            case 0:
                self.come(steps.bytes(steps.number(2)))
            case 1:
                for byte in steps.bytes(min(steps.number(2), 600)):
                    self.come(bytes((byte,)))
            case 2:
                kind, flags, stream, size = steps.number(), steps.number(), steps.number(), steps.number()
                self.come(self.made(kind, flags, stream, steps.bytes(size)))
            case kind:
                self.drive(kind, steps.number(), steps.number(2))

    def made(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        """A frame of a length that is right; of kinds that nobody knows, one that is right altogether."""
        if kind & 0x80:
            # A new call. Only the first one's block has to say that there is no table.
            self.newest += 2
            start, self.block_start = self.block_start, b""
            return frames.headers(self.newest, start + frames.request(), end=bool(flags & END_STREAM))
        if kind & 0x40:
            return frames.data(stream, frames.message(payload * (1 + (flags >> 2))), end=bool(flags & END_STREAM))
        return frames.frame(kind, flags, stream, payload)

    def come(self, data: bytes) -> None:
        self.handle(lambda: self.connection.receive(data, self.now))

    def drive(self, what: int, which: int, size: int) -> None:
        """The driver does something that no event has asked for."""
        self.now += which / 16
        if what == 7:
            if size % 16 == 7:
                self.connection.leave()
            elif size % 16 == 8:
                self.connection.pause()
            elif size % 16 == 9:
                self.connection.unpause()
                self.handle(self.connection.go_on)
        elif open_streams := [stream for stream in self.connection.streams.values() if not self.told_of(stream.id).gone]:
            stream = open_streams[which % len(open_streams)]
            match what:
                case 3:
                    self.reply(stream, size)
                case 4:
                    self.connection.hold(stream)
                case 5 if stream.held:
                    self.handle(lambda: self.connection.resume(stream))
                case 6:
                    self.finish(stream, size)
        self.listen()
        self.handle(self.connection.go_on)

    def handle(self, events: Callable[[], Iterable[Event]]) -> None:
        was_closed = self.connection.closed
        for stream, what in events():
            assert not was_closed, "an event after the end"
            self.event(stream, what)
        self.listen()
        if self.connection.ready:
            self.handle(self.connection.go_on)

    def event(self, stream: Stream, what: bytes | End) -> None:
        told = self.told_of(stream.id)
        assert not told.gone, "an event after the stream was gone"
        assert not told.finished, "an event after the answer was finished"
        if what is End.GONE:
            told.gone = True
            return
        assert self.connection.streams.get(stream.id) is stream, "an event of a stream that is not open"
        assert not stream.held and not stream.outbox, "an event that should have waited"
        assert not told.done, "an event after the last"
        assert self.connection._sender.at_once >= 0 or (what is End.DONE and stream.id not in self.talked), "an event while nobody reads"
        self.talked.add(stream.id)
        if what is End.DONE:
            told.done = True
            if stream.id % 4 == 1:
                self.finish(stream, 0)
            return
        # What a message asks for is in its first byte.
        asked = what[0] if what else 0
        for _ in range(asked & 3):
            self.reply(stream, (asked >> 4) * len(what))
        if asked & 4:
            self.connection.hold(stream)
        if asked & 8:
            self.finish(stream, asked >> 4)

    def reply(self, stream: Stream, size: int) -> None:
        told = self.told_of(stream.id)
        # As a driver does: nothing is said after the end, and not without bounds.
        if not told.finished and len(told.replied) < 200_000:
            content = bytes((len(told.replied) + stream.id) % 251 for _ in range(1)) * size
            told.replied += frames.message(content)
            self.connection.reply(stream, content)

    def finish(self, stream: Stream, size: int) -> None:
        self.told_of(stream.id).finished = True
        self.connection.finish(stream, _STATUSES[size % 4], "a word, \u00fc % \n" * (size % 200))

    def told_of(self, stream: int) -> Told:
        return self.told.setdefault(stream, Told())

    def listen(self) -> None:
        """Reads the output as a client would."""
        for frame in frames.parse(b"".join(self.connection.take())):
            assert len(frame.payload) <= LARGEST
            told = self.told_of(frame.stream)
            if frame.kind == HEADERS:
                assert frame.stream and not told.ended and not told.reset
                told.ended = bool(frame.flags & END_STREAM)
                assert told.ended or not told.headed, "a second head"
                assert not told.ended or told.gone or told.sent == len(told.replied), "the end before the last reply"
                told.headed = True
            elif frame.kind == DATA:
                assert told.headed and not told.ended and not told.reset and frame.payload
                assert told.replied[told.sent : told.sent + len(frame.payload)] == frame.payload, "a reply that is none"
                told.sent += len(frame.payload)
            elif frame.kind == RST_STREAM:
                told.reset = True
            elif frame.kind == WINDOW_UPDATE:
                assert 0 < int.from_bytes(frame.payload, "big") <= LARGEST
                assert frame.stream == 0 or not (told.ended or told.reset), "a window for a stream that is over"
            elif frame.kind == GOAWAY:
                assert frame.stream == 0
        if self.connection.closed:
            assert not self.connection.take()

    def check(self) -> None:
        connection, sender = self.connection, self.connection._sender
        assert connection._receiver.kept == sum(stream.kept for stream in connection.streams.values()) >= 0
        assert (
            sender.waiting
            == sender.at_once - sender.room
            == sum(len(piece) for stream in connection.streams.values() for piece in stream.outbox)
        )
        assert all(connection.streams[number] is stream for number, stream in connection._receiver.stalled.items()) and not connection.ready
        assert len(connection._rest) <= 16_384 + 9
        assert len(connection.streams) <= LIMITS.streams
        assert len(connection._blocks._known) <= LIMITS.known_blocks
        if connection.closed:
            return
        assert 0 <= connection._receiver.window <= LIMITS.connection_window and sender.window >= 0
        assert connection.streams or connection._receiver.kept == 0
        for number, stream in connection.streams.items():
            assert stream.id == number <= connection._last and stream.have >= 0 and 0 <= stream.window_in <= LIMITS.window
            assert not stream.finished, "a stream that is over, and still there"
            assert not (stream.outbox and stream.window_out > 0 and sender.window > 0), "something waits although there is a window"
            waits = stream.held or stream.outbox or number in connection._receiver.stalled
            assert waits or not stream.queue, "something waits although nobody holds it"
            plain = stream.plain
            stream.settle()
            assert stream.plain is plain, "a stream is plain, and is not taken for it; or the other way round"

    def end(self) -> None:
        """Finishes what is under way and opens all windows, if the other end can still say so."""
        connection = self.connection
        for stream in list(connection.streams.values()):
            if stream.ending is None:
                self.finish(stream, 0)
        self.listen()
        if connection.closed or connection._rest or connection._only is not None:
            return
        self.now += 1_000_000.0
        connection.unpause()
        self.come(frames.settings((frames.INITIAL_WINDOW_SIZE, 1_000_000)))
        if more := 8_000_000 - connection._sender.window:
            self.come(frames.number(WINDOW_UPDATE, 0, more) if more > 0 else b"")
        if not connection.closed:
            assert (
                not connection.streams
                and not connection._receiver.kept
                and not connection._sender.waiting
                and not connection._sender._turns
            )


def target(data: bytes) -> None:
    """Plays one input. Raises whatever is wrong."""
    Run().play(data)


def main() -> None:
    """Runs under atheris, until libFuzzer's arguments say that it is enough."""
    # Not there on every platform, and only needed here.
    atheris = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["extproc.transport.http2", "hpack"]):
        for name in [name for name in sys.modules if name.startswith(("extproc.transport.http2", "hpack", "tests.fuzz"))]:
            del sys.modules[name]
        # Anew, and instrumented this time.
        play = importlib.import_module("tests.fuzz.http2_connection").target

    atheris.Setup(sys.argv, play)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
