"""How late a connection is: the time that the answer to a ping of ours takes, as long as something waits to be read."""

import socket

from extproc.transport.http2.echo import Echo
from extproc.transport.native import Server, _unread
from tests.frames import ACK, PING, Frame, data, frame, message
from tests.transport.driving import client, each_loop, serving
from tests.transport.test_connection import OPEN
from tests.transport.wire import Wire, request

HOW_LATE = Frame(PING, 0, 0, b"how late")
ANSWER = frame(PING, ACK, 0, b"how late")


def test_an_answer_that_is_out_counts_once_it_takes_longer_than_the_last() -> None:
    echo = Echo()
    assert (echo.seconds(10), echo.ask(10), echo.ask(11), echo.seconds(12)) == (0, True, False, 2)
    echo.heard(13)
    assert (echo.seconds(20), echo.ask(20), echo.seconds(22), echo.seconds(24)) == (3, True, 3, 4)
    echo.heard(20.5)
    echo.heard(99)
    assert echo.seconds(100) == 0.5, "an answer to nothing says nothing"


def test_one_ping_at_a_time_while_streams_are_under_way() -> None:
    wire = Wire()
    assert (wire.connection.late(1.0), wire.taken()) == (0, [])
    wire.say(OPEN)
    assert (wire.connection.late(1.0), wire.taken()) == (0, [HOW_LATE])
    assert (wire.connection.late(1.5), wire.taken()) == (0.5, [])
    for _ in wire.connection.receive(ANSWER, 2.5):
        raise AssertionError("a ping is nobody's business")
    assert (wire.connection.late(4.0), wire.taken()) == (1.5, [HOW_LATE])
    wire.say(data(1, message(b"x"), end=True))
    wire.connection.close()
    assert wire.connection.late(9.0) == 0


@each_loop
async def test_what_the_other_end_has_not_sent_is_its_own_affair() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"one")))
        await scene.until(b"one")
        assert scene.server.late() == 0
        assert isinstance(scene.server, Server)
        (driver,) = scene.server.connections
        assert driver.late(peer.loop.time() + 2) == 0, "nothing waits: it does not answer"
        # From here on nothing of this loop runs until it is asked.
        peer.socket.send(data(1, message(b"two")))
        assert 2 <= driver.late(peer.loop.time() + 2) < 3
        assert scene.server.late() < 2, "the longest of all connections, by the loop's clock"
        await peer.until(PING)
        await peer.say(ANSWER)
        await scene.until(b"two")
    assert driver.late(peer.loop.time()) == 0, "it is over"


def test_a_socket_that_is_gone_has_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"12345")
        assert _unread(ours.fileno()) == 5
    assert _unread(1 << 20) == 0
