"""A provider that does to its callers what the request's path says: `/status-503/v1/chat/completions`, `/reset-mid-chunk/v1/messages`.

It is written on bare sockets, because no HTTP server can be told to do such things. What reached it is kept, for the books.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from bench.faults import words

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEADER = re.compile(rb"\r\n([^:\r\n]+): *([^\r\n]*)")
_MOST = 1 << 24
_OK = b"HTTP/1.1 200 OK\r\n"


class Heard(NamedTuple):
    """A request whose head has reached us."""

    fault: str
    id: str
    """Its `x-request-id`."""
    path: str
    credentials: tuple[str, ...]
    """What stood in headers that carry credentials."""


class Peer:
    """One request, and the connection that it came on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self.reader, self.writer = reader, writer
        self.path = head.split(b" ", 2)[1].decode()
        self.fault = self.path.split("/", 2)[1]
        self.dialect = words.dialect_of(self.path)
        self.headers = {name.lower().decode(): value.decode("latin-1") for name, value in _HEADER.findall(head)}
        length = _LENGTH.search(head)
        self._length = int(length[1]) if length else 0
        self._body: bytes | None = None

    async def body(self) -> bytes:
        """The request's body, read once."""
        if self._body is None:
            self._body = await self.reader.readexactly(self._length)
        return self._body

    async def marker(self) -> str:
        """What the answer has to repeat."""
        found = words.MARKER.search(await self.body())
        return found[0].decode() if found else "no-marker"

    async def streamed(self) -> bool:
        """Whether a stream is asked for."""
        if self.dialect in ("gemini", "bedrock"):
            return "stream" in self.path.rpartition("/")[2].lower()
        return b'"stream":true' in (await self.body()).replace(b" ", b"")

    async def write(self, data: bytes) -> None:
        """Writes, and waits until that has left."""
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, body: bytes, *, status: bytes = b"200 OK", kind: bytes = b"application/json", more: bytes = b"") -> None:
        """A whole answer of a known length. `more`: headers, each with its line's end."""
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n" % (status, kind, len(body), more)
        await self.write(head + body)

    async def begin_stream(self, more: bytes = b"") -> None:
        """The head of a stream in chunks."""
        kind = words.STREAMS.get(self.dialect, b"text/event-stream")
        await self.write(_OK + b"content-type: %b\r\ntransfer-encoding: chunked\r\n%b\r\n" % (kind, more))

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the answer."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def good(self) -> bool:
        """The answer that is wanted, with the request's marker. True: the connection goes on."""
        marker = await self.marker()
        if not await self.streamed():
            await self.send(words.whole(self.dialect, marker))
            return True
        await self.begin_stream()
        for event in words.stream(self.dialect, marker):
            await self.chunk(event)
        await self.chunk(b"")
        return True

    async def gone(self) -> None:
        """Says nothing until the other side hangs up."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Breaks the connection off: the other side gets a RST, what was written and has not left is lost."""
        reset(self.writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """The same of a connection that has not said anything."""
    sock: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Deed = Callable[[Peer], Awaitable[bool]]
"""What is done with a request. True: the connection goes on."""
Meeting = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What is done with a connection, before anything is read."""


class Hostile:
    """The server. `deeds`: what paths mean."""

    def __init__(self, deeds: Mapping[str, Deed]) -> None:
        self.heard: list[Heard] = []
        self.ports: dict[str, int] = {}
        """By fault, of those that have one of their own."""
        self.port = 0
        self.deeds = {**deeds}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, meetings: Mapping[str, tuple[Meeting | None, ssl.SSLContext | None]]) -> None:
        """Listens on loopback; for each of `meetings` (nothing: as usual; a TLS context) on a port of its own."""
        self.port = await self._listen(None, None)
        for name, (meeting, tls) in meetings.items():
            self.ports[name] = await self._listen(meeting, tls)

    async def _listen(self, meeting: Meeting | None, tls: ssl.SSLContext | None) -> int:
        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await (meeting or self._serve)(reader, writer)
            writer.close()

        server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=tls, limit=_MOST, backlog=1024)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            peer = Peer(reader, writer, await reader.readuntil(b"\r\n\r\n"))
            credentials = tuple(
                peer.headers[name] for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key") if name in peer.headers
            )
            self.heard.append(Heard(peer.fault, peer.headers.get("x-request-id", ""), peer.path, credentials))
            if not await self.deeds.get(peer.fault, Peer.good)(peer):
                return
            # A request that was not read would be taken for the next one's head.
            await peer.body()

    async def stop(self) -> None:
        """Hangs up on everybody."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
