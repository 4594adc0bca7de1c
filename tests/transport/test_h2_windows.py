"""Windows and back-pressure, with the `h2` package as a client: it counts, and tells when we send more than it allows."""

import pytest
from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import FlowControlError
from h2.settings import SettingCodes

from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Status
from tests.frames import message
from tests.transport.h2_client import LONG, H2Client, long_answer, whole
from tests.transport.wire import Wire

WINDOW = SettingCodes.INITIAL_WINDOW_SIZE


@pytest.mark.parametrize("window", [1, 10, 1000, 65_535, 1 << 20])
def test_long_answers_through_small_windows(window: int) -> None:
    peer = H2Client(engine=long_answer, settings={WINDOW: window})
    long = LONG[: 100 * window]
    peer.wire.engine = lambda wire, stream, what: wire.echo(stream, long if isinstance(what, bytes) else what)
    numbers = [peer.call(b"x", b"y") for _ in range(3)]
    assert all(whole(peer.heard[number], long, long) for number in numbers)
    assert peer.idle()


def test_a_window_that_is_closed_and_opened_again_mid_way() -> None:
    peer = H2Client(engine=long_answer, settings={WINDOW: 1000}, reads=False)
    number = peer.call(b"x")
    heard = peer.heard[number]
    assert (len(heard.data), peer.server.streams[number].window_out) == (1000, 0)
    peer.settle({WINDOW: 0})
    assert (len(heard.data), peer.server.streams[number].window_out) == (1000, -1000)
    peer.client.increment_flow_control_window(1500, number)
    peer.pump()
    assert (len(heard.data), peer.server.streams[number].window_out) == (1500, 0)
    peer.settle({WINDOW: 40_000})
    assert len(heard.data) == 41_500
    peer.client.increment_flow_control_window(100_000)
    peer.settle({WINDOW: 200_000})
    assert whole(heard, LONG)
    assert peer.idle()


def test_new_streams_have_the_new_window() -> None:
    peer = H2Client(engine=long_answer, settings={WINDOW: 10}, reads=False)
    one = peer.call(b"x")
    peer.settle({WINDOW: 20})
    two = peer.call(b"x")
    assert [len(peer.heard[number].data) for number in (one, two)] == [20, 20]


def test_a_closed_window_keeps_the_head_of_an_answer_but_not_its_end_back() -> None:
    peer = H2Client(settings={WINDOW: 0}, engine=lambda wire, stream, what: wire.connection.finish(stream, Status.INTERNAL, "so"))
    number = peer.call()
    heard = peer.heard[number]
    assert (heard.head[b"grpc-status"], heard.head[b"grpc-message"], heard.ended) == (b"13", b"so", True)
    one, two = H2Client(settings={WINDOW: 0}), H2Client(settings={WINDOW: 0})
    assert (one.call(b"x"), two.call()) == (1, 1)
    assert (one.heard[1].head[b":status"], one.heard[1].ended) == (b"200", False)
    assert whole(two.heard[1])


def test_longer_frames() -> None:
    peer = H2Client(engine=long_answer, settings={WINDOW: 1 << 20})
    peer.client.increment_flow_control_window(1 << 20)

    def longest() -> int:
        peer.events.clear()
        number = peer.call(b"x")
        assert whole(peer.heard[number], LONG)
        return max(len(event.data) for event in peer.events if isinstance(event, events.DataReceived))

    assert longest() == 16_384
    peer.settle({SettingCodes.MAX_FRAME_SIZE: 50_000})
    assert longest() == 50_000
    peer.settle({SettingCodes.MAX_FRAME_SIZE: 1 << 20})
    assert longest() == len(message(LONG))
    peer.settle({SettingCodes.MAX_FRAME_SIZE: 20_000})
    assert longest() == 20_000


def test_streams_that_wait_are_served_in_turns() -> None:
    peer = H2Client(engine=long_answer, settings={WINDOW: 1 << 20}, reads=False)
    peer.pump()
    peer.client.increment_flow_control_window(2)
    numbers = [peer.call(b"x") for _ in range(4)]
    # The first has used up the window of the connection; then it is its turn again after the others'.
    got = [[len(peer.heard[number].data) for number in numbers]]
    for _ in range(5):
        peer.client.increment_flow_control_window(10_000)
        peer.pump()
        got.append([len(peer.heard[number].data) for number in numbers])
    assert got[0] == [65_537, 0, 0, 0]
    assert got[4] == [75_537, 10_000, 10_000, 10_000]
    assert sum(got[5]) == sum(got[4]) + 10_000 and max(got[5]) == 85_537
    peer.client.increment_flow_control_window(1 << 20)
    peer.pump()
    assert all(whole(peer.heard[number], LONG) for number in numbers)
    assert peer.idle()


def test_a_session_that_waits_closes_its_window_and_no_other() -> None:
    limits = Limits(window=100_000, connection_window=1 << 20)
    peer = H2Client(
        limits=limits, engine=lambda wire, stream, what: wire.connection.hold(stream) if what == b"wait" else wire.echo(stream, what)
    )
    waits, other = peer.request(), peer.request()
    peer.pump()
    assert not peer.send(waits, message(b"wait"))
    left = peer.send(waits, message(bytes(150_000)))
    assert len(left) == 5 + 150_000 - (100_000 - 9)
    for _ in range(20):
        assert not peer.send(other, message(LONG))
    assert peer.heard[other].messages == [LONG] * 20
    assert peer.client.local_flow_control_window(waits) == 0
    # It goes on.
    for stream, what in peer.server.resume(peer.server.streams[waits]):
        peer.wire.echo(stream, what)
    peer.pump()
    assert not peer.send(waits, left, end=True)
    assert peer.heard[waits].messages == [bytes(150_000)]
    peer.send(other, b"", end=True)
    assert peer.idle()


def test_all_sessions_waiting_close_the_connections_window() -> None:
    limits = Limits(window=100_000, connection_window=200_000, memory=300_000)
    peer = H2Client(limits=limits, engine=lambda wire, stream, what: wire.connection.hold(stream))
    numbers = [peer.call(b"", end=False) for _ in range(10)]
    left = dict.fromkeys(numbers, 10)
    for number in numbers:
        while left[number] and peer.client.local_flow_control_window(number) > 9_005:
            peer.send(number, message(bytes(9_000)))
            left[number] -= 1
    assert list(left.values()).count(10) >= 4
    # What is kept is bounded by the memory and the window that was open then.
    assert limits.memory < peer.server._receiver.kept <= limits.memory + limits.connection_window
    peer.wire.engine = Wire.echo
    for number in numbers:
        for stream, what in peer.server.resume(peer.server.streams[number]):
            peer.wire.echo(stream, what)
        peer.pump()
        assert not peer.send(number, message(bytes(9_000)) * left[number], end=True)
    assert all(whole(peer.heard[number], *[bytes(9_000)] * 10) for number in numbers)
    assert peer.idle()


def test_messages_that_are_not_whole_are_bounded_too() -> None:
    # A window that is closed for them would never be opened again, so the last of them has to go.
    peer = H2Client(limits=Limits(memory=300_000))
    numbers = [peer.request() for _ in range(10)]
    for number in numbers:
        peer.send(number, message(bytes(200_000))[:60_000])
    refused = [number for number in numbers if peer.heard[number].ended]
    assert {peer.heard[number].head[b"grpc-status"] for number in refused} == {b"8"}
    assert (peer.server._receiver.kept <= 300_000, 4 <= len(numbers) - len(refused) <= 5) == (True, True)
    for number in set(numbers) - set(refused):
        peer.client.reset_stream(number)
        peer.pump()
    assert peer.idle()


def test_a_client_that_does_not_read_is_not_listened_to() -> None:
    peer = H2Client(engine=long_answer, reads=False)
    number = peer.request()
    peer.pump()
    rest = peer.send(number, message(bytes(30_000)) * 50)
    # One answer waits, so nothing more is asked of the session.
    assert [what for _, what in peer.wire.events] == [bytes(30_000)]
    stream = peer.server.streams[number]
    assert len(stream.outbox) == 1
    assert peer.server._receiver.kept <= Limits().window and rest
    # It reads again.
    peer.reads = True
    peer.client.acknowledge_received_data(len(peer.heard[number].data), number)
    peer.pump()
    assert not peer.send(number, rest, end=True)
    assert whole(peer.heard[number], *[LONG] * 50)
    assert peer.idle()


def test_padding_counts_for_the_windows() -> None:
    peer = H2Client(limits=Limits(window=65_535, connection_window=100_000))
    number = peer.request()
    for _ in range(2000):
        peer.client.send_data(number, b"", pad_length=255)
        peer.pump()
    peer.send(number, b"", end=True)
    assert whole(peer.heard[number])


def test_a_client_that_sends_more_than_it_may() -> None:
    peer = H2Client(limits=Limits(window=65_535), engine=lambda wire, stream, what: wire.connection.hold(stream))
    number = peer.call(b"wait", end=False)
    peer.send(number, message(bytes(60_000)))
    with pytest.raises(FlowControlError):
        peer.client.send_data(number, bytes(16_000))
    # Now it counts wrongly, and says more than we have allowed.
    peer.client.streams[number].outbound_flow_control_window += 1 << 20
    for _ in range(5):
        peer.client.send_data(number, bytes(16_000))
    peer.pump()
    assert peer.heard[number].reset == ErrorCodes.FLOW_CONTROL_ERROR
    assert peer.idle()
