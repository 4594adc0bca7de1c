"""The mock provider: OpenAI's chat completions as cheaply as Python can serve them, so that what is measured is what stands before it.

    python -m bench.provider --gap 0.002

The request says what it wants in OpenAI's own words, which every gateway passes on: `"stream": true`, as many events as `max_tokens`, and
a usage event if `stream_options.include_usage` is there. Each event carries the time at which it left, as `@` and 20 digits of
CLOCK_MONOTONIC in nanoseconds, which is the same clock for every process of the machine.
"""

import argparse
import asyncio
import re
import signal
import socket
import sys
import time
from typing import cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_EVENTS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')
_WANTS_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_EDGE = 2048
"""Bytes at both ends of a body in which its settings stand: the middle is messages, and is not looked at."""

_USAGE = b'{"prompt_tokens":2400,"completion_tokens":210,"total_tokens":2610,"prompt_tokens_details":{"cached_tokens":1024}}'
_TEXT = b"Three causes are likely. First, the returns in the south were booked in the wrong quarter; the ledger shows it. " * 6
_DOCUMENT = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1763700000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"' + _TEXT.strip() + b'","refusal":null},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":' + _USAGE + b',"service_tier":"default","system_fingerprint":"fp_bench"}'
)
_HEADERS = b"date: Sat, 21 Nov 2026 12:00:00 GMT\r\nopenai-processing-ms: 12\r\nopenai-version: 2020-10-01\r\nx-request-id: req_bench\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (_HEADERS, len(_DOCUMENT), _DOCUMENT)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n" + _HEADERS + b"transfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(choices: bytes, usage: bytes = b"null") -> bytes:
    begin = b'{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763700000,"model":"gpt-4o-mini-2024-07-18","choices":['
    return b"data: " + begin + choices + b'],"usage":' + usage + b"}\n\n"


# Written with a stamp in place, so that the chunk's size is right; then cut where the stamp stands.
_STAMP = b"@" + b"0" * 20
_FIRST_EVENT, _EVENT = (
    _chunk(_event(b'{"index":0,"delta":{%b"content":" word %b"},"finish_reason":null}' % (role, _STAMP))).replace(_STAMP, b"@%020d")
    for role in (b'"role":"assistant",', b"")
)
_LAST = _chunk(_event(b'{"index":0,"delta":{},"finish_reason":"stop"}'))
_USAGE_EVENT = _chunk(_event(b"", _USAGE))
_DONE = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection: keep-alive, one request at a time."""

    def __init__(self, gap: float) -> None:
        """`gap`: seconds between a stream's events; 0 writes them all at once."""
        self._gap = gap
        self._loop = asyncio.get_running_loop()
        self._data = b""
        self._pieces: list[bytes] = []
        self._missing = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A gateway has connected."""
        # uvloop's transports are asyncio's in all but their base class.
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has hung up."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """A piece of a request. The body's pieces are kept as they are and joined at its end only."""
        if not self._missing:
            data = self._data + data
            end = data.find(_HEAD_END)
            if end < 0:
                self._data = data
                return
            self._data = b""
            if data.startswith(b"GET "):
                self._transport.write(_ANSWER)
                return
            found = _LENGTH.search(data, 0, end + 2)
            if found is None:
                self._transport.write(b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                self._transport.close()
                return
            data = data[end + 4 :]
            self._missing = int(found[1])
        self._pieces.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            self._answer()

    def _answer(self) -> None:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._missing = 0
        edges = body if len(body) <= 2 * _EDGE else body[:_EDGE] + body[-_EDGE:]
        if _STREAM.search(edges) is None:
            self._transport.write(_ANSWER)
            return
        asked = _EVENTS.search(edges)
        ending = _LAST + (_USAGE_EVENT if _WANTS_USAGE.search(edges) else b"") + _DONE
        self._stream(int(asked[1]) if asked else 16, ending)

    def _stream(self, events: int, ending: bytes) -> None:
        self._transport.write(_STREAM_HEAD + _FIRST_EVENT % time.monotonic_ns())
        if self._gap:
            self._timer = self._loop.call_later(self._gap, self._more, events - 1, ending)
            return
        self._transport.write(b"".join(_EVENT % time.monotonic_ns() for _ in range(events - 1)) + ending)

    def _more(self, events: int, ending: bytes) -> None:
        if events > 0:
            self._transport.write(_EVENT % time.monotonic_ns())
            self._timer = self._loop.call_later(self._gap, self._more, events - 1, ending)
        else:
            self._transport.write(ending)


async def serve(gap: float, stop: asyncio.Event) -> None:
    """Serves on a free port of loopback, which is printed, until `stop`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(gap), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


async def _main(gap: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(gap, stop)


def main() -> int:
    """Entry of the process."""
    parser = argparse.ArgumentParser(prog="python -m bench.provider", description="A mock provider of OpenAI's chat completions.")
    parser.add_argument("--gap", type=float, default=0.002, help="seconds between a stream's events (default: %(default)s)")
    uvloop.run(_main(parser.parse_args().gap))
    return 0


if __name__ == "__main__":
    sys.exit(main())
