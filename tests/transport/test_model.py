"""The connection against a reference (tests/fuzz/model.py): a client and a driver do what is within their rights, and a little beyond.

Three connections hear the same client. The first hears it frame by frame, and the model holds every event and every frame of its output
against what it expects. The second hears as much as ten frames at once, the third byte by byte: both have to say and do just the same.
"""

from collections.abc import Callable

import pytest
from hpack import Encoder
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from extproc.transport.http2.stream import Stream
from extproc.transport.seam import Status
from tests import frames
from tests.examples import examples
from tests.frames import LARGEST, METHOD, WINDOW_UPDATE
from tests.fuzz.model import LIMITS, REFUSALS, Call, Driver, Model

AT_ONCE = 10
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, REFUSED_STREAM, CANCEL = 1, 3, 5, 7, 8

WHICH = st.integers(0, LIMITS.streams - 1)
ASKED = (0, 1, 0x11, 0x12, 0x13, 0x23, 0x31, 0x15, 0x04, 0x05, 0x14, 0x09, 0x18, 0x1D)
"""What a message asks of the driver: its first byte (`Driver.react`)."""
SIZES = (0, 1, 3, 8, 20, 40, 500, 1_000, 8_190, 16_379, 16_384, LIMITS.message)
# Whatever is drawn from a list costs one draw: so there are more steps in a second.
ALONE = [[(asked, size)] for asked in ASKED for size in SIZES]
TOGETHER = [
    [(0, 20), (0, 0)],
    [(0x11, 8), (0x15, 8), (0, 3)],
    [(1, 500), (0x23, 40)],
    [(0x13, 8_190), (0x11, 16_379)],
    [(0x04, 9), (0x18, 9)],
]
JUNK = [b""] * 20 + [b"\x01\x00\x00\x00\x01x", b"\x00\xff\xff\xff\xff"]
SHAPES: list[tuple[int | None, int | None]] = [
    *[(None, None)] * 12,
    *[(cut, None) for cut in (1, 4, 5, 6, 9, 50, 1_004, 8_195)],
    *[(None, padding) for padding in (0, 1, 100, 255)],
    (9, 3),
]
"""How long a frame of a message may be, and its padding."""
HEADS: list[tuple[list[int], bytes, int | None, bytes]] = [
    *[([], b"", None, METHOD)] * 8,
    ([], b"x" * 30, None, METHOD),
    ([0, 20, 20], b"x" * 500, None, METHOD),
    ([1], b"", None, METHOD),
    ([], b"y", 0, METHOD),
    ([], b"", 200, METHOD),
    ([], b"", None, b"/nobody/Knows"),
    ([7], b"x" * 30, None, b"/nobody/Knows"),
]
"""How a header block is cut, what more is in it, its padding, and the method."""
WINDOWS = [
    *[("stream", [more]) for more in (1, 2, 100, 5_000, 70_000)],
    *[("connection", [more]) for more in (1, 3, 1_000, 20_000, 200_000)],
    *[("streams", values) for values in ([0], [1], [50], [5_000, 0, 65_535], [1_000_000], [])],
]
ENDS = st.sampled_from([False, False, False, True])
going_on = precondition(lambda machine: not machine.watched.connection.closed)
busy = precondition(lambda machine: machine.model.live())


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.watched, self.hasty, self.slow = self.drivers = Driver(self.model), Driver(), Driver()
        self.late = b""
        """What the hasty and the slow one have not heard yet."""
        self.frames = 0
        self.now = 0.0
        self.encoder = Encoder()
        self.acknowledged = False
        self.unsaid: dict[int, bytes] = {}
        """Of what the client has to say, what its windows do not let through yet, or what it keeps for later."""

    # The client.

    def come(self, data: bytes) -> None:
        """Frames come, all of which the model knows."""
        self.frames += 1
        self.now += 0.1
        for driver in self.drivers:
            driver.now = self.now
        self.watched.come(data)
        self.late += data
        if self.frames % AT_ONCE == 0:
            self.catch_up()

    def catch_up(self) -> None:
        late, self.late = self.late, b""
        self.hasty.come(late)
        # A frame of 16 KB byte by byte is 130 MB to copy, so a few of its bytes have to do.
        for begin in range(min(len(late), 600)):
            self.slow.come(late[begin : begin + 1])
        for begin in range(600, len(late), 1_499):
            self.slow.come(late[begin : begin + 1_499])
        assert self.hasty.events == self.slow.events == self.watched.events
        assert self.hasty.out == self.slow.out == self.watched.out

    def drive(self, act: Callable[[Driver, Stream], object], call: Call) -> None:
        """All drivers do something, and have heard the same when they do."""
        self.catch_up()
        for driver in self.drivers:
            act(driver, driver.connection.streams[call.number])
            driver.go_on()

    def some(self, which: int, suits: Callable[[Call], object]) -> Call | None:
        calls = [call for call in self.model.live() if suits(call)]
        return calls[which % len(calls)] if calls else None

    @initialize(window=st.sampled_from([None, 0, 1, 100, 70_000, 1_000_000]), at_once=st.booleans(), calls=st.integers(1, 4))
    def greet(self, window: int | None, at_once: bool, calls: int) -> None:
        self.model.acks += 1
        self.come(frames.PREFACE + frames.settings(*([(frames.INITIAL_WINDOW_SIZE, window)] if window is not None else [])))
        if window is not None:
            self.model.first_out = window
        if at_once:
            self.acknowledge()
        for _ in range(calls):
            self.begin(HEADS[0], end=False, table=None)

    @precondition(lambda machine: not machine.acknowledged and not machine.watched.connection.closed)
    @rule()
    def acknowledge(self) -> None:
        self.come(frames.SETTINGS_ACK)
        self.acknowledged = True
        self.encoder.header_table_size = 0

    @precondition(lambda machine: not machine.model.left)
    @rule(head=st.sampled_from(HEADS), end=ENDS, table=st.sampled_from([None, None, 0, 4_096]))
    def begin(self, head: tuple[list[int], bytes, int | None, bytes], end: bool, table: int | None) -> None:
        cuts, extra, padding, path = head
        if table is not None and not self.acknowledged:
            # Which it may change as it likes, until it has heard that it may have none.
            self.encoder.header_table_size = table
        fields = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        ]
        block = self.encoder.encode([*fields, (b"x", extra)] if extra else fields)
        self.model.newest += 2
        call = Call(self.model.newest, self.model.first_in, self.model.first_out)
        if len(self.model.live()) == LIMITS.streams:
            call.wrong, call.gone = REFUSED_STREAM, True
        elif path != METHOD:
            # Nobody is told of it; its answer is only trailers.
            call.finished, call.status = True, Status.UNIMPLEMENTED
        self.model.calls[call.number] = call
        call.say(b"", end=end)
        if cuts or padding is None:
            self.come(frames.headers(call.number, block, end=end, cuts=cuts))
        else:
            flag, payload = frames.padded(block, padding)
            self.come(frames.frame(frames.HEADERS, flag | frames.END_HEADERS | end, call.number, payload))

    @going_on
    @rule(which=WHICH, saying=st.sampled_from(ALONE), shape=st.sampled_from(SHAPES), end=ENDS)
    def say(self, which: int, saying: list[tuple[int, int]], shape: tuple[int | None, int | None], end: bool) -> None:
        self.tell(which, saying, b"", shape, end=end)

    @going_on
    @rule(which=WHICH, saying=st.sampled_from(TOGETHER), junk=st.sampled_from(JUNK), shape=st.sampled_from(SHAPES), end=ENDS)
    def say_more(self, which: int, saying: list[tuple[int, int]], junk: bytes, shape: tuple[int | None, int | None], end: bool) -> None:
        for one in range(which, which + 3):
            self.tell(one, saying, junk, shape, end=end)

    def tell(self, which: int, saying: list[tuple[int, int]], junk: bytes, shape: tuple[int | None, int | None], *, end: bool) -> None:
        """All that the windows let through; or a frame of it, and the rest when there is more to say."""
        if len(self.model.live()) < 2 and not self.model.left:
            # Somebody has to speak.
            self.begin(HEADS[0], end=False, table=None)
        if (call := self.some(which, lambda call: not call.ended)) is None:
            return
        cut, padding = shape
        unsaid = self.unsaid.get(call.number, b"") + b"".join(frames.message(bytes((asked,)) * size) for asked, size in saying) + junk
        while not call.over:
            room = min(call.window_in, self.model.window_in, cut or 16_384) - (0 if padding is None else 1 + padding)
            if room <= 0:
                break
            self.data(call, unsaid[:room], end=end and len(unsaid) <= room, padding=padding)
            unsaid = unsaid[room:]
            if cut or not unsaid:
                break
        self.unsaid[call.number] = unsaid

    def data(self, call: Call, payload: bytes, *, end: bool, padding: int | None) -> None:
        made = frames.data(call.number, payload, end=end, padding=padding)
        call.window_in -= len(made) - 9
        self.model.window_in -= len(made) - 9
        call.say(payload, end=end)
        connection = self.watched.connection
        kept = connection._receiver.kept
        self.come(made)
        stream = connection.streams.get(call.number)
        if stream is not None and stream.deaf and not call.deaf and not call.finished:
            # It is held, and will be told that there are too many messages which are not whole.
            assert kept + len(payload) + 1_000 > LIMITS.memory and call.rest
            call.to_come.append(Status.RESOURCE_EXHAUSTED)
            call.deaf = True

    @going_on
    @rule(which=WHICH, what=st.sampled_from(WINDOWS), limit=st.sampled_from([None, None, 16_384, 20_000, 2**24 - 1]))
    def widen(self, which: int, what: tuple[str, list[int]], limit: int | None) -> None:
        whose, values = what
        if whose == "connection":
            self.model.window_out += values[0]
            self.come(frames.number(WINDOW_UPDATE, 0, values[0]))
        elif whose == "streams":
            self.change(values, limit)
        elif (call := self.some(which, lambda call: True)) is not None:
            call.window_out += values[0]
            self.come(frames.number(WINDOW_UPDATE, call.number, values[0]))
        # What pours out is much at once, and nothing goes on before it is taken: what comes later in the same read would find that out.
        self.catch_up()

    def change(self, values: list[int], limit: int | None) -> None:
        self.model.acks += 1
        self.model.frame_limit = limit or self.model.frame_limit
        for call in self.model.live():
            call.window_out += (values or [self.model.first_out])[-1] - self.model.first_out
        self.model.first_out = (values or [self.model.first_out])[-1]
        made = [(frames.INITIAL_WINDOW_SIZE, value) for value in values] + [(77, 7), (frames.HEADER_TABLE_SIZE, 100)]
        self.come(frames.settings(*made, *([(frames.MAX_FRAME_SIZE, limit)] if limit else [])))

    @rule(kind=st.sampled_from([frames.PING, frames.PRIORITY, frames.GOAWAY, 0xEE]), seconds=st.sampled_from([0, 1, 1_000_000]))
    def chat(self, kind: int, seconds: int) -> None:
        payload = b"\0\0\0\x7f\x10" if kind == frames.PRIORITY else self.frames.to_bytes(8, "big")
        if kind == frames.PING and not self.watched.connection.closed:
            self.model.pongs.append(payload)
        self.catch_up()
        self.now += seconds
        self.come(frames.frame(kind, stream=9 if kind == frames.PRIORITY else 0, payload=payload))

    @busy
    @rule(which=WHICH, how=st.sampled_from([CANCEL, CANCEL, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED]))
    def break_off(self, which: int, how: int) -> None:
        """The client hangs up; or it makes the server do so: widens a window by nothing or too far, speaks after the end."""
        suits = {FLOW_CONTROL_ERROR: lambda call: call.window_out > 0, STREAM_CLOSED: lambda call: call.ended}
        if (call := self.some(which, suits.get(how, lambda call: True))) is None:
            return
        if how == CANCEL:
            call.reset = call.over = True
            self.come(frames.number(frames.RST_STREAM, call.number, CANCEL))
        else:
            call.wrong = how
            more = 0 if how == PROTOCOL_ERROR else LARGEST - call.window_out + 1
            self.come(frames.data(call.number) if how == STREAM_CLOSED else frames.number(WINDOW_UPDATE, call.number, more))
        assert call.over and (call.gone or call.finished)

    @going_on
    @rule(which=WHICH, size=st.sampled_from([0, 1, 500]))
    def come_late(self, which: int, size: int) -> None:
        """What was under way when the server had already reset the stream is no mistake."""
        calls = [call for call in self.model.calls.values() if call.over and not call.reset and not call.ended]
        if calls and size <= self.model.window_in:
            self.model.window_in -= size
            self.come(frames.data(calls[which % len(calls)].number, bytes(size)))

    # The driver.

    @busy
    @rule(which=WHICH, size=st.sampled_from(SIZES), times=st.integers(1, 3))
    def reply(self, which: int, size: int, times: int) -> None:
        if (call := self.some(which, lambda call: not call.finished)) is not None:
            for _ in range(times):
                self.drive(lambda driver, stream: driver.reply(stream, b"r" * size), call)

    @busy
    @rule(which=WHICH)
    def hold_or_resume(self, which: int) -> None:
        if (call := self.some(which, lambda call: call.held or not call.finished)) is not None:
            self.drive(lambda driver, stream: driver.resume(stream) if stream.held else driver.hold(stream), call)

    @busy
    @rule(which=WHICH, status=st.sampled_from([Status.OK, *REFUSALS]))
    def finish(self, which: int, status: Status) -> None:
        if (call := self.some(which, lambda call: not call.finished)) is not None:
            self.drive(lambda driver, stream: driver.finish(stream, status), call)

    @rule(paused=st.booleans())
    def pause_or_not(self, paused: bool) -> None:
        self.catch_up()
        for driver in self.drivers:
            driver.pause(paused)

    @precondition(lambda machine: not machine.model.leaving and machine.frames > 12)
    @rule()
    def leave(self) -> None:
        self.catch_up()
        for driver in self.drivers:
            driver.leave()

    @precondition(lambda machine: machine.model.leaving and not machine.model.left)
    @rule()
    def let_go(self) -> None:
        self.model.left = True
        self.come(frames.frame(frames.PING, frames.ACK, payload=b"leaving."))

    # What is true at any time.

    @invariant()
    def agree(self) -> None:
        model, connection = self.model, self.watched.connection
        live = model.live()
        assert connection.closed is (model.left and not live)
        assert not model.acks and not model.pongs
        assert model.goodbyes[:2] == [LARGEST, max(0, model.newest)][: model.leaving + model.left]
        assert set(connection.streams) == {call.number for call in live}
        sender, kept = connection._sender, 0
        choked = model.paused or (sender.waiting > LIMITS.answers and connection._receiver.kept + sender.waiting > LIMITS.memory)
        assert connection.choked is choked
        assert (sender.window, connection._receiver.window) == (model.window_out, model.window_in)
        for call in live:
            stream = connection.streams[call.number]
            assert (stream.window_out, stream.window_in) == (call.window_out, call.window_in)
            assert not (call.blocked and min(call.window_out, model.window_out) > 0), "there is a window, and nothing is sent"
            busy = call.held or call.blocked or call.finished or call.ended or call.deaf or call.rest or call.to_come
            assert stream.plain is not bool(busy)
            waits = call.held or call.blocked or call.finished or (choked and call.to_come)
            assert waits or not call.to_come, "nothing is in the way, and nothing comes"
            assert waits or call.ended or call.window_in >= LIMITS.window // 2, "the client may not go on"
            kept += 0 if call.finished else call.kept()
        assert sender.waiting == sum(len(call.replied) - len(call.got) for call in live)
        assert kept <= connection._receiver.kept and bool(connection._receiver.kept) <= any(call.to_come or call.rest for call in live)
        assert (
            connection._receiver.kept + sender.waiting > LIMITS.memory
            or model.window_in >= LIMITS.connection_window // 2
            or connection.closed
        )

    def teardown(self) -> None:
        """All is finished, all windows are opened: then nothing is left."""
        self.pause_or_not(paused=False)
        for call in self.model.live():
            if not call.finished:
                self.drive(lambda driver, stream: driver.finish(stream, Status.OK), call)
        if not self.watched.connection.closed:
            self.change([10_000_000], None)
        if not self.watched.connection.closed:
            self.widen(0, ("connection", [10_000_000]), None)
        self.catch_up()
        for driver in self.drivers:
            connection = driver.connection
            assert (
                not connection.streams
                and not connection._receiver.kept
                and not connection._sender.waiting
                and not connection._sender._turns
            )


TestModel = pytest.mark.timeout(400)(Machine.TestCase)  # which is how long it takes to make a failure small
# In thirty every rule has its turn, most of them a hundred times.
TestModel.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
