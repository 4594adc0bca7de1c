"""Thousands of streams at once: a provider that begins to answer all of them and ends them when it is told, and a client that asks."""

import asyncio
import json
from typing import cast

import hpack

from tests.frames import (
    ACK,
    DATA,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    TABLE_SIZE_0,
    Frame,
    Reader,
    data,
    frame,
    headers,
    settings,
    window_update,
)

_WINDOW = 2**30
_NO_ERROR = bytes(4)  # RFC 9113, section 7: what has begun goes on
_STATUS_200 = b"\x88"  # RFC 7541, section 6.1


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "demo", "choices": [choice]}
    event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


_FIRST = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + _event("first")
_REST = _event("last", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Provider:
    """Answers every request with the first event of a stream, and ends all streams on `release`."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Transport] = []
        self._server: asyncio.Server

    async def start(self, port: int) -> None:
        """Listens on loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Answer(self), "127.0.0.1", port, backlog=4096)

    def release(self) -> None:
        """Ends every stream."""
        for transport in self.waiting:
            transport.write(_REST)
        self.waiting.clear()

    def close(self) -> None:
        """Listens no more."""
        self._server.close()


class _Answer(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        self._data = b""
        self._transport.write(_FIRST)
        self._provider.waiting.append(self._transport)


class Client(asyncio.Protocol):
    """One HTTP/2 connection with many streams. What is told of it is counted, not kept."""

    def __init__(self, authority: str, model: str, streams: int) -> None:
        self.begun = 0
        """Streams whose first event has come."""
        self.whole = 0
        """Streams that have ended as they should."""
        self.failed: list[str] = []
        self.sent_away = False
        """It has been told to ask elsewhere next time."""
        self._waiting = streams
        self._body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}).encode()
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        head = [(":method", "POST"), (":scheme", "http"), (":authority", authority), (":path", "/v1/chat/completions")]
        self._block = encoder.encode([*head, ("content-type", "application/json"), ("content-length", str(len(self._body)))])
        self._reader = Reader()
        self._seen: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # No table for headers, so that each block stands for itself.
        mine = settings((HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, _WINDOW))
        self._transport.write(PREFACE + mine + window_update(0, _WINDOW))
        for index in range(self._waiting):
            number = 2 * index + 1
            self._transport.write(headers(number, self._block) + data(number, self._body, end=True))

    def data_received(self, data: bytes) -> None:
        for one in self._reader.feed(data):
            self._take(one)

    def _take(self, heard: Frame) -> None:
        kind, _, number, payload = heard
        if kind == HEADERS:
            # The status comes first, and 200 is one byte; reading the rest of ten thousand blocks would take as long as all else here.
            if payload.lstrip(TABLE_SIZE_0)[:1] != _STATUS_200:
                self.failed.append(f"headers {hpack.Decoder().decode(payload)}")
        elif kind == DATA:
            seen = self._seen.get(number, b"")
            self.begun += not seen
            self._seen[number] = seen + payload
        elif kind == RST_STREAM or (kind == GOAWAY and payload[4:8] != _NO_ERROR):
            self.failed.append(repr(heard))
        elif kind == GOAWAY:
            self.sent_away = True
        elif kind in {SETTINGS, PING} and not heard.flags & ACK:
            self._transport.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        if heard.last:
            text = self._seen.pop(number, b"")
            if b'"first"' in text and text.endswith(b"data: [DONE]\n\n"):
                self.whole += 1
            else:
                self.failed.append(f"an answer {text[-80:]!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._seen:
            self.failed.append(f"{len(self._seen)} streams cut")

    def close(self) -> None:
        """Hangs up."""
        self._transport.abort()
