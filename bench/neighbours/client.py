"""Connections that ask and tell what they got: one request at a time each, HTTP/1.1, any status."""

import asyncio
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

from msgspec import Struct

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AGAIN = re.compile(rb"\r\nretry-after: *(\d+)\r", re.IGNORECASE)

Told = Callable[["Connection", int, float], None]
"""Is told of each answer: the connection, which is free again, the status, and the seconds that it took. 0: it broke."""


class Ask(Struct, frozen=True):
    """Whom to ask, and what."""

    port: int
    request: bytes


def request(port: int, key: str, size: int, model: str = "shared") -> bytes:
    """A chat completion of `size` bytes of text."""
    body = b'{"model":"%b","messages":[{"role":"user","content":"%b"}]}' % (model.encode(), b"x" * size)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, ask: Ask, told: Told) -> None:
        self._ask = ask
        self._told = told
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._began = 0.0
        self.retry_after = 0
        """Seconds, as the last answer said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are of a class of their own
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def open(self) -> bool:
        """It can be used."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self) -> None:
        """Asks."""
        assert self._transport is not None
        self._buffer, self._began = b"", time.perf_counter()
        self._transport.write(self._ask.request)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        if length is not None and len(self._buffer) >= end + len(_HEAD_END) + int(length[1]):
            again = _AGAIN.search(self._buffer, 0, end + 2)
            self.retry_after = int(again[1]) if again is not None else 0
            self._over(int(self._buffer[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Hung up."""
        if self._began:
            self._over(0)

    def _over(self, status: int) -> None:
        took, self._began = time.perf_counter() - self._began, 0.0
        self._told(self, status, took)

    def close(self) -> None:
        """Hangs up."""
        self._began = 0.0
        if self._transport is not None:
            self._transport.abort()


async def connect(ask: Ask, told: Told) -> Connection:
    """A connection to the gateway."""
    _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(ask, told), "127.0.0.1", ask.port)
    return connection


class Seen(Struct):
    """What a round saw."""

    took: list[float]
    statuses: Counter[int]


async def closed_loop(ask: Ask, connections: int, seconds: float) -> Seen:
    """So many connections, each asking again as soon as it has its answer."""
    seen, done = Seen([], Counter()), asyncio.Event()
    until, busy = time.perf_counter() + seconds, connections

    def told(connection: Connection, status: int, took: float) -> None:
        nonlocal busy
        seen.statuses[status] += 1
        if status == 200:
            seen.took.append(took)
        if time.perf_counter() < until and connection.open:
            connection.send()
            return
        busy -= 1
        if not busy:
            done.set()

    all_ = [await connect(ask, told) for _ in range(connections)]
    for connection in all_:
        connection.send()
    async with asyncio.timeout(seconds + 30):
        await done.wait()
    for connection in all_:
        connection.close()
    return seen
