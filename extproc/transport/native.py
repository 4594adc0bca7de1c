"""The transport of our own: HTTP/2 and gRPC spoken by `http2.Connection`, carried by asyncio (uvloop in a worker).

A message that needs nothing which is not there is answered inside the read callback: no task, no turn of the loop. All that is answered to
one read is written at once. Only a session that waits costs a task; what comes for its stream meanwhile waits in the connection, and the
windows bound how much that can be. While Envoy does not read what we write, nothing is read of Envoy.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from extproc.drive import Waiting
from extproc.transport.endings import Endings
from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Methods, Opener, Refused, Replies, Session, Status
from extproc.transport.tls import ALPN, Tls, context

_BACKLOG = 1024
_PATIENCE = 5.0
_GOODBYE = 0.1
_LIMITS = Limits()


class _Call:
    """What we keep of a stream: its session, and the task of a reply that waits."""

    __slots__ = ("over", "session", "task")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.task: asyncio.Task[None] | None = None
        self.over = False
        """The stream has ended while the task was waiting."""


class _Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._core = Connection(server.methods, server.limits)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._handshake: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of a class of their own.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self._handshake = self._loop.call_later(self._server.limits.handshake, self._never_greeted)
        secured = transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() != ALPN:
            # RFC 9113, section 3.2: over TLS, HTTP/2 has to be agreed on.
            self._transport.abort()
            return
        self._flush()

    def _never_greeted(self) -> None:
        if not self._core.greeted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._handle(self._core.receive(data, self._loop.time()))
        self._flush()

    def _handle(self, events: Iterable[Event]) -> None:
        for stream, what in events:
            if isinstance(what, bytes):
                self._message(stream, what)
            else:
                self._end(stream, what)

    def _message(self, stream: Stream, message: bytes) -> None:
        call: _Call | None = stream.owner
        try:
            if call is None:
                call = stream.owner = _Call(self._server.methods[stream.method]())
            replies = call.session.receive(message)
        except Exception as error:  # noqa: BLE001 - the session has told what it was; the stream ends with a status
            self._fail(stream, error)
            return
        if isinstance(replies, list):
            for reply in replies:
                self._core.reply(stream, reply)
            return
        self._core.hold(stream)
        call.task = self._loop.create_task(self._wait(stream, call, replies))
        call.task.add_done_callback(partial(self._waited, stream, call))

    async def _wait(self, stream: Stream, call: _Call, waiting: Waiting[Replies]) -> None:
        try:
            replies = await waiting
        except Exception as error:  # noqa: BLE001 - as in `_message`
            call.task = None
            if not call.over:
                self._fail(stream, error)
        else:
            call.task = None
            if not call.over:
                for reply in replies:
                    self._core.reply(stream, reply)
                self._handle(self._core.resume(stream))
        self._flush()

    def _waited(self, stream: Stream, call: _Call, _: asyncio.Task[None]) -> None:
        if call.over:
            self._close(stream)

    def _end(self, stream: Stream, end: End) -> None:
        call: _Call | None = stream.owner
        if call is not None and call.task is not None:
            # Its session is closed when what it waits for has been given up.
            call.over = True
            # Not before its first step, if that is still to come: a coroutine that has begun has to hear of it.
            self._loop.call_soon(call.task.cancel)
            return
        self._close(stream)
        if end is End.DONE:
            self._core.finish(stream)

    def _fail(self, stream: Stream, error: Exception) -> None:
        if isinstance(error, Refused):
            self._core.finish(stream, error.status, error.text)
        else:
            # Envoy, which puts our words into its log, is told no more than this.
            self._core.finish(stream, Status.INTERNAL, "broken off")
        self._close(stream)

    def _close(self, stream: Stream) -> None:
        call: _Call | None = stream.owner
        stream.owner = None
        if call is not None:
            self._server.endings.close(call.session)

    def _flush(self) -> None:
        out = self._core.take()
        if out and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._core.closed:
            self._over(_PATIENCE)

    def _over(self, patience: float) -> None:
        """Nothing more is read: what the sessions do for it is given up."""
        streams = list(self._core.streams.values())
        self._core.streams.clear()
        for stream in streams:
            self._end(stream, End.GONE)
        if not self._transport.is_closing():
            self._transport.close()
            # `close` waits until the other end has read what was written; for one that never does, not for ever.
            self._loop.call_later(patience, self._transport.abort)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._handshake.cancel()
        self._server.lost(self)
        self._core.close()
        self._over(0)

    def leave(self) -> None:
        """Tells the other end to go elsewhere, and closes when its last stream has ended."""
        self._core.leave()
        self._flush()

    def abort(self) -> None:
        """Closes at once."""
        self._core.close()
        self._flush()
        self._loop.call_later(_GOODBYE, self._transport.abort)


class Server:
    """A gRPC server on one address."""

    def __init__(
        self, address: str, methods: Methods, *, tls: Tls | None = None, shared: bool = False, limits: Limits = _LIMITS
    ) -> None:  # fmt: skip
        """`address`: `unix:/path`, `127.0.0.1:50051`, `[::1]:50051`. Raises `OSError` for certificates that cannot be read.

        `shared`: other processes may listen on the same port, and the kernel spreads connections over them (SO_REUSEPORT).
        """
        self._address = address
        self._shared = shared
        self._tls = context(tls) if tls is not None else None
        self.methods: dict[bytes, Opener] = {name.encode(): opener for name, opener in methods.items()}
        self.limits = limits
        self.connections: set[_Protocol] = set()
        self._emptied = asyncio.Event()
        self.endings = Endings()
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """See `seam.Server`."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": self._tls, "backlog": _BACKLOG}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = self.limits.handshake
        if self._address.startswith("unix:"):
            path = self._address.removeprefix("unix:")
            self._listening = await loop.create_unix_server(lambda: _Protocol(self), path, **options)
        else:
            host, _, port = self._address.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            self._listening = await loop.create_server(lambda: _Protocol(self), host, int(port), reuse_port=self._shared, **options)

    async def stop(self, grace: float) -> None:
        """See `seam.Server`."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.connections):
            connection.leave()
        if not await self._empty(grace):
            for connection in list(self.connections):
                connection.abort()
            await self._empty(_PATIENCE)
        await self.endings.wait(grace)

    async def _empty(self, within: float) -> bool:
        """Whether all connections are over within so many seconds."""
        if self.connections:
            self._emptied.clear()
            try:
                async with asyncio.timeout(within):
                    await self._emptied.wait()
            except TimeoutError:
                return False
        return True

    def lost(self, connection: _Protocol) -> None:
        """A connection is over."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()
