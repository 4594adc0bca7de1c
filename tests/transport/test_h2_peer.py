"""The `h2` package as a client: it checks what we send as strictly as RFC 9113 allows."""

from itertools import cycle

import pytest
from h2 import events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Status
from tests.examples import examples
from tests.frames import message
from tests.transport.h2_client import LONG, REQUEST, H2Client, long_answer, whole
from tests.transport.wire import Wire

WINDOW = SettingCodes.INITIAL_WINDOW_SIZE


@pytest.mark.parametrize("size", [1, 2, 7, 9, 100, 1 << 20])
def test_calls(size: int) -> None:
    peer = H2Client(cuts=cycle([size]))
    one = peer.request()
    two = peer.call(b"x", b"", b"three")
    assert not peer.send(one, message(b"one"), end=True)
    assert whole(peer.heard[one], b"one") and whole(peer.heard[two], b"x", b"", b"three")
    assert peer.idle()


@settings(max_examples=examples(60), deadline=None)
@given(
    messages=st.lists(st.binary(max_size=40), max_size=6),
    frame=st.integers(1, 30),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    window=st.integers(1, 30),
)
def test_calls_that_are_cut_anywhere(messages: list[bytes], frame: int, cuts: list[int], window: int) -> None:
    peer = H2Client(cuts=cycle(cuts), settings={WINDOW: window})
    number = peer.request()
    assert not peer.send(number, b"".join(map(message, messages)), end=True, frame=frame)
    assert whole(peer.heard[number], *messages)
    assert peer.idle()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_anything_that_a_client_may_do(data: st.DataObject) -> None:
    """Calls side by side; windows of any size that change; resets; sessions that wait. Every call gets the answers to its own messages."""
    held: dict[int, Stream] = {}

    def engine(wire: Wire, stream: Stream, what: bytes | End) -> None:
        if what == b"wait":
            wire.connection.hold(stream)
            held[stream.id] = stream
        elif what is End.GONE:
            held.pop(stream.id, None)
        else:
            wire.echo(stream, what)

    def release(number: int) -> None:
        peer.server.reply(stream := held.pop(number), b"waited")
        for resumed, what in peer.server.resume(stream):
            engine(peer.wire, resumed, what)
        peer.pump()

    def finish(number: int) -> None:
        peer.client.end_stream(number)
        peer.pump()
        ended[number] = expected.pop(number)

    peer = H2Client(
        engine=engine,
        settings={WINDOW: data.draw(st.integers(0, 50))},
        cuts=cycle(data.draw(st.lists(st.integers(1, 90), min_size=1, max_size=5))),
    )
    peer.pump()
    expected: dict[int, list[bytes]] = {}
    ended: dict[int, list[bytes]] = {}
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(["begin", "message", "message", "wait", "release", "end", "reset", "window"])):
            case "begin":
                expected[peer.request()] = []
            case "window":
                peer.settle({WINDOW: data.draw(st.integers(0, 100))})
            case "release" if held:
                release(data.draw(st.sampled_from(sorted(held))))
            case "message" | "wait" | "end" | "reset" as what if expected:
                number = data.draw(st.sampled_from(sorted(expected)))
                if what == "reset":
                    del expected[number]
                    peer.client.reset_stream(number)
                elif what == "end":
                    finish(number)
                else:
                    content = b"wait" if what == "wait" else data.draw(st.binary(max_size=30))
                    assert not peer.send(number, message(content))
                    expected[number].append(b"waited" if content == b"wait" else content)
                peer.pump()
    for number in list(expected):
        finish(number)
    peer.settle({WINDOW: 1000})
    while held:
        release(min(held))
    assert not expected
    for number, messages in ended.items():
        assert whole(peer.heard[number], *messages)
    assert peer.idle()


def test_padding_and_priorities() -> None:
    peer = H2Client()
    number = peer.client.get_next_available_stream_id()
    peer.client.send_headers(number, REQUEST, priority_weight=16, priority_depends_on=0, priority_exclusive=True)
    peer.client.prioritize(number, weight=200, depends_on=0)
    for piece in (message(b"one"), message(b"two")[:6], message(b"two")[6:], b""):
        peer.client.send_data(number, piece, pad_length=200)
        peer.pump()
    peer.client.send_data(number, message(b"three"), end_stream=True, pad_length=0)
    peer.pump()
    assert whole(peer.heard[number], b"one", b"two", b"three")


def test_headers_in_several_frames() -> None:
    peer = H2Client(limits=Limits(headers=100_000))
    number = peer.client.get_next_available_stream_id()
    peer.client.send_headers(number, [*REQUEST, *((f"x-{at}", "x" * 1000) for at in range(60))], end_stream=True)
    peer.pump()
    assert whole(peer.heard[number])


def test_trailers_of_a_client() -> None:
    peer = H2Client()
    number = peer.call(b"x", end=False)
    peer.client.send_headers(number, [("x-checksum", "1")], end_stream=True)
    peer.pump()
    assert whole(peer.heard[number], b"x")


def test_a_reset_mid_message() -> None:
    peer = H2Client()
    one, two = peer.request(), peer.request()
    peer.send(one, message(LONG)[:70_000])
    assert peer.server._receiver.kept > 0
    peer.client.reset_stream(one, ErrorCodes.CANCEL)
    peer.pump()
    assert peer.wire.events == [(one, End.GONE)]
    assert not peer.send(two, message(b"x"), end=True)
    assert whole(peer.heard[two], b"x")
    assert peer.idle()


def test_a_reset_of_an_answer_that_waits() -> None:
    peer = H2Client(engine=long_answer, reads=False)
    numbers = [peer.call(b"x", end=False) for _ in range(3)]
    for number in numbers:
        peer.client.reset_stream(number)
        peer.pump()
    assert peer.idle()
    # The connection's window is what it was.
    assert peer.server._sender.window == 65_535 - sum(len(peer.heard[number].data) for number in numbers)


@pytest.mark.parametrize("size", [0, 5, 40_000])
def test_an_end_by_the_engine(size: int) -> None:
    """What the client has sent meanwhile is no mistake, and counts for its windows."""
    peer = H2Client(engine=lambda wire, stream, what: wire.connection.finish(stream, Status.RESOURCE_EXHAUSTED, "enough"))
    number = peer.request()
    peer.client.send_data(number, message(b"x"))
    for at in range(0, size, 10_000):
        peer.client.send_data(number, bytes(min(10_000, size - at)))
    peer.pump()
    heard = peer.heard[number]
    assert (heard.head[b"grpc-status"], heard.ended, heard.reset) == (b"8", True, ErrorCodes.NO_ERROR)
    assert peer.server._receiver.window == Limits().connection_window - 6 - size
    assert peer.heard[peer.call()].ended and peer.idle()


def test_an_end_by_the_engine_that_crosses_the_clients() -> None:
    peer = H2Client(engine=lambda wire, stream, what: wire.connection.finish(stream, Status.INTERNAL, "enough"))
    number = peer.request()
    peer.client.send_data(number, message(b"x"))
    peer.client.send_headers(number, [("x-sum", "1")], end_stream=True)
    peer.pump()
    assert (peer.heard[number].ended, peer.heard[number].reset) == (True, None)
    assert peer.heard[peer.call()].ended and peer.idle()


def test_goodbye_of_the_client() -> None:
    peer = H2Client()
    number = peer.call(b"x", end=False)
    peer.client.close_connection()
    peer.pump()
    assert peer.heard[number].messages == [b"x"]
    assert (peer.server.closed, list(peer.server.streams)) == (False, [number])


@pytest.mark.parametrize("how", ["leave", "close"])
def test_goodbye_of_the_server(how: str) -> None:
    peer = H2Client()
    number = peer.call(b"x", end=False)
    getattr(peer.server, how)()
    answer = b"".join(peer.server.take())
    # After the first GOAWAY h2 takes nothing more (not the PING that follows ours): the wire tests have the rest.
    [ended] = [event for event in peer.client.receive_data(answer[: 9 + 8]) if isinstance(event, events.ConnectionTerminated)]
    last = 2**31 - 1 if how == "leave" else number
    assert (ended.error_code, ended.last_stream_id) == (ErrorCodes.NO_ERROR, last)


def test_pings() -> None:
    peer = H2Client()
    peer.client.ping(b"12345678")
    peer.pump()
    assert [event.ping_data for event in peer.events if isinstance(event, events.PingAckReceived)] == [b"12345678"]


def test_the_table_is_used_until_our_settings_are_heard() -> None:
    peer = H2Client(engine=Wire.keep)
    blocks = peer.server._blocks
    first, second, third = (peer.request(end=True) for _ in range(3))
    peer.wire.hear(peer.client.data_to_send())
    # By then it has a table, and refers to it.
    assert (sorted(peer.server.streams), len(blocks._decoder.header_table.dynamic_entries) > 2) == ([first, second, third], True)
    assert {stream.method for stream in peer.server.streams.values()} == {peer.server.streams[1].method}
    peer.pump()
    for _ in range(3):
        peer.request(end=True)
        peer.pump()
    assert (len(blocks._decoder.header_table.dynamic_entries), len(peer.server.streams)) == (0, 6)
    # One block says what size the table has now, the others are alike.
    assert len(blocks._known) <= 2


def test_a_client_that_allows_us_no_table() -> None:
    # It has to be told once that there is none (RFC 7541, section 4.2), or refuses what we say.
    peer = H2Client(settings={SettingCodes.HEADER_TABLE_SIZE: 0})
    numbers = [peer.call(b"x") for _ in range(3)]
    assert all(whole(peer.heard[number], b"x") for number in numbers)
