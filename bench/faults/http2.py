"""A provider that speaks HTTP/2, and does to its callers what the request's path says: what HTTP/1.1 has no frames for."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from bench.faults import words
from bench.faults.hostile import Heard, Meeting

_PASSED = 0.25
"""Seconds in which what was sent has reached the caller."""
_CREDENTIALS = ("authorization", "x-api-key", "api-key")


class Stream:
    """One request, and the stream that it came on."""

    def __init__(self, connection: H2Connection, writer: asyncio.StreamWriter, id: int, headers: dict[str, str]) -> None:
        self._connection, self._writer, self._id = connection, writer, id
        self.headers, self.body = headers, b""
        self.dialect = "anthropic" if headers[":path"].endswith("/messages") else "openai"

    @property
    def pieces(self) -> list[bytes]:
        """A good answer: the events of a stream, or the halves of what is none."""
        found = words.MARKER.search(self.body)
        marker = found[0].decode() if found else "no-marker"
        if self._streamed:
            return words.stream(self.dialect, marker)
        whole = words.whole(self.dialect, marker)
        return [whole[: len(whole) // 2], whole[len(whole) // 2 :]]

    @property
    def _streamed(self) -> bool:
        return b'"stream":true' in self.body.replace(b" ", b"")

    def head(self, *more: tuple[str, str]) -> None:
        """200."""
        kind = "text/event-stream" if self._streamed else "application/json"
        self._connection.send_headers(self._id, [(":status", "200"), ("content-type", kind), *more])
        self.flush()

    def say(self, data: bytes, *, end: bool = False) -> None:
        """A piece of the body."""
        self._connection.send_data(self._id, data, end_stream=end)
        self.flush()

    def trailers(self) -> None:
        """Ends the answer."""
        self._connection.send_headers(self._id, [("x-took", "1")], end_stream=True)
        self.flush()

    def reset(self, code: ErrorCodes) -> None:
        """Breaks the stream off, and leaves the connection as it is."""
        self._connection.reset_stream(self._id, code)
        self.flush()

    def goodbye(self, *, answers: bool) -> None:
        """GOAWAY. `answers`: those who have asked so far are answered; nobody, otherwise."""
        last = self._connection.highest_inbound_stream_id if answers else 0
        # By hand: the library sends nothing after its own.
        self.write(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last.to_bytes(4, "big") + int(ErrorCodes.NO_ERROR).to_bytes(4, "big"))

    def write(self, data: bytes) -> None:
        """Bytes that need not be frames."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def hang_up(self) -> None:
        """Ends the connection."""
        self._writer.close()

    def flush(self) -> None:
        """Sends what has been said."""
        self.write(self._connection.data_to_send())


Deed = Callable[[Stream], Awaitable[None]]


async def _good(stream: Stream) -> None:
    stream.head()
    *before, last = stream.pieces
    for piece in before:
        stream.say(piece)
    stream.say(last, end=True)


async def _trailers(stream: Stream) -> None:
    stream.head()
    for piece in stream.pieces:
        stream.say(piece)
    stream.trailers()


async def _half(stream: Stream) -> None:
    stream.head()
    for piece in stream.pieces[: len(stream.pieces) // 2]:
        stream.say(piece)
    await asyncio.sleep(_PASSED)


async def _end_early(stream: Stream) -> None:
    await _half(stream)
    stream.say(b"", end=True)


async def _trailers_early(stream: Stream) -> None:
    await _half(stream)
    stream.trailers()


async def _wrong_length(stream: Stream) -> None:
    stream.head(("content-length", "99999"))
    stream.say(b"".join(stream.pieces), end=True)


async def _nothing(stream: Stream) -> None:
    await asyncio.sleep(0)


async def _head(stream: Stream) -> None:
    stream.head()
    await asyncio.sleep(_PASSED)


def _reset(code: ErrorCodes, before: Deed = _nothing) -> Deed:
    async def deed(stream: Stream) -> None:
        await before(stream)
        stream.reset(code)

    return deed


async def _goodbye(stream: Stream) -> None:
    stream.goodbye(answers=False)
    stream.hang_up()


async def _last_answer(stream: Stream) -> None:
    stream.goodbye(answers=True)
    await _good(stream)


async def _no_frames(stream: Stream) -> None:
    stream.write(b"\x00\x00\x05\xff\xff what is this?" * 20)
    await asyncio.sleep(_PASSED)


DEEDS: dict[str, Deed] = {
    "h2": _good,
    "h2-trailers": _trailers,
    "h2-trailers-early": _trailers_early,
    "h2-end-early": _end_early,
    "h2-length-too-long": _wrong_length,
    "h2-refused": _reset(ErrorCodes.REFUSED_STREAM),
    "h2-reset": _reset(ErrorCodes.INTERNAL_ERROR),
    "h2-reset-calm": _reset(ErrorCodes.ENHANCE_YOUR_CALM),
    "h2-reset-no-error": _reset(ErrorCodes.NO_ERROR, _half),
    "h2-reset-after-head": _reset(ErrorCodes.INTERNAL_ERROR, _head),
    "h2-reset-mid-body": _reset(ErrorCodes.CANCEL, _half),
    "h2-goaway": _goodbye,
    "h2-goaway-good": _last_answer,
    "h2-no-frames": _no_frames,
    "h2-no-window": _nothing,
    "h2-no-streams": _nothing,
}
"""By the name that stands first in a request's path."""
SETTINGS: dict[str, dict[SettingCodes | int, int]] = {
    "h2-no-window": {SettingCodes.INITIAL_WINDOW_SIZE: 0},
    "h2-no-streams": {SettingCodes.MAX_CONCURRENT_STREAMS: 0},
}
"""What these say of themselves."""


class _Connection:
    def __init__(self, name: str, heard: list[Heard], writer: asyncio.StreamWriter) -> None:
        self._name, self._heard, self._writer = name, heard, writer
        self._connection = H2Connection(H2Configuration(client_side=False))
        self._connection.local_settings.update(SETTINGS.get(name, {}))
        self._connection.initiate_connection()
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        try:
            self._writer.write(self._connection.data_to_send())
            while data := await reader.read(65536):
                for event in self._connection.receive_data(data):
                    self._take(event)
                self._writer.write(self._connection.data_to_send())
        except ProtocolError:
            return
        finally:
            for task in self._tasks:
                task.cancel()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                headers = {name.decode(): value.decode() for name, value in event.headers}
                credentials = tuple(headers[name] for name in _CREDENTIALS if name in headers)
                self._heard.append(Heard(self._name, headers.get("x-request-id", ""), headers[":path"], credentials))
                self._streams[event.stream_id] = Stream(self._connection, self._writer, event.stream_id, headers)
            case DataReceived():
                self._streams[event.stream_id].body += event.data
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                task = asyncio.create_task(self._answer(self._streams.pop(event.stream_id)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case _:
                pass

    async def _answer(self, stream: Stream) -> None:
        # It may have been reset by its caller meanwhile.
        with contextlib.suppress(ProtocolError, OSError):
            await DEEDS[self._name](stream)


async def _meet(name: str, heard: list[Heard], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _Connection(name, heard, writer).serve(reader)


def meetings(heard: list[Heard]) -> dict[str, Meeting]:
    """By name: a provider for each. `heard`: where it is written what has reached them."""
    return {name: functools.partial(_meet, name, heard) for name in DEEDS}
