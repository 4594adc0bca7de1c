"""The transport of our own: HTTP/2 and gRPC spoken by `http2.Connection`, carried by asyncio (uvloop in a worker).

A message that needs nothing which is not there is answered inside the read callback: no task, no turn of the loop. All that is answered to
one read is written at once. Only a session that waits costs a task; what comes for its stream meanwhile waits in the connection, and the
windows bound how much that can be. While Envoy does not read what we write, nothing is read of Envoy, and nothing that has come is
answered.
"""

import asyncio
import contextlib
import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from extproc.drive import Waiting
from extproc.transport.endings import Endings
from extproc.transport.http2.codes import Code
from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Methods, Opener, Refused, Replies, Session, Speaker, Status
from extproc.transport.tls import ALPN, Handshakes, Tls, context

_BACKLOG = 1024
_PATIENCE = 5.0
_GOODBYE = 0.1
_LIMITS = Limits()
_CONNECTIONS = 1024
_TLS_HANDSHAKE = 5.0
_SAY_AGAIN = 60.0

_TCP_OPTIONS = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Nothing waits to be joined with what comes later. A host that vanishes without a word is found out within 30 s of silence."""

_log = logging.getLogger(__name__)


def _watch(peer: socket.socket | None) -> None:
    """Sets what a connection over TCP needs. On a Unix socket the kernel knows when the other end is gone."""
    if peer is None or peer.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    # Where it is gone already, some systems refuse; then the next read tells.
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP_OPTIONS.items():
            # Not every system has all of them; those that lack one take two hours.
            if (option := getattr(socket, name, None)) is not None:
                peer.setsockopt(socket.IPPROTO_TCP, option, value)


def _unread(descriptor: int) -> int:
    """Bytes that have come and wait in the socket."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # closed just now: it has no number any more
        return 0


class _Call:
    """What we keep of a stream: its session, and the task of a reply that waits."""

    __slots__ = ("given_up", "session", "task")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.task: asyncio.Task[None] | None = None
        self.given_up = False
        """The stream has ended while the task was waiting."""


class Driver(asyncio.Protocol):
    """One connection: does on a transport what the core wants done."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._core = Connection(server.methods, server.limits)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._handshake: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of a class of their own.
        self._transport = cast("asyncio.Transport", transport)
        self._handshake = self._loop.call_later(self._server.limits.handshake, self._never_introduced)
        if not self._server.gained(self):
            self._transport.abort()
            return
        _watch(transport.get_extra_info("socket"))
        secured = transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() != ALPN:
            # RFC 9113, section 3.2: over TLS, HTTP/2 has to be agreed on.
            self._transport.abort()
            return
        self._flush()

    def _never_introduced(self) -> None:
        if not self._core.introduced:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._handle(self._core.receive(data, self._loop.time()))
        except Exception:  # noqa: BLE001 - see `_broken`
            self._broken()
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
                if isinstance(call.session, Speaker):
                    call.session.say = partial(self._say, stream)
            replies = call.session.receive(message)
        # The session has told what it was; the stream ends with a status. Cancelled can be only what it waited for itself.
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            self._fail(stream, error)
            return
        if isinstance(replies, list):
            for reply in replies:
                self._core.reply(stream, reply)
            return
        self._core.hold(stream)
        call.task = self._loop.create_task(self._wait(stream, call, replies))

    async def _wait(self, stream: Stream, call: _Call, waiting: Waiting[Replies]) -> None:
        outcome: Replies | BaseException
        try:
            outcome = await waiting
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as in `_message`, or what it waited for has been given up
            outcome = error
        # Nothing waits from here on, so the stream cannot end in between.
        call.task = None
        try:
            self._proceed(stream, call, outcome)
        except Exception:  # noqa: BLE001 - see `_broken`
            self._broken()
        self._flush()

    def _proceed(self, stream: Stream, call: _Call, outcome: Replies | BaseException) -> None:
        """After a wait."""
        if call.given_up:
            self._close(stream)
        elif isinstance(outcome, BaseException):
            self._fail(stream, outcome)
        else:
            for reply in outcome:
                self._core.reply(stream, reply)
            self._handle(self._core.resume(stream))

    def _say(self, stream: Stream, replies: Replies) -> None:
        """A session speaks unasked."""
        if stream.owner is None:
            return
        try:
            for reply in replies:
                self._core.reply(stream, reply)
        except Exception:  # noqa: BLE001 - see `_broken`
            self._broken()
        self._flush()

    def _broken(self) -> None:
        """A bug of ours, outside of any session: nobody knows what state the connection is in, so it ends."""
        _log.exception("a connection is closed")
        self._core.close(Code.INTERNAL_ERROR)

    def _end(self, stream: Stream, end: End) -> None:
        call: _Call | None = stream.owner
        if call is not None and call.task is not None:
            # Its session is closed by the task, when what it waits for has been given up.
            call.given_up = True
            self._server.endings.own(call.task)
            # Not before its first step, if that is still to come: a coroutine that has begun has to hear of it.
            self._loop.call_soon(call.task.cancel)
            return
        self._close(stream)
        if end is End.DONE:
            self._core.finish(stream)

    def _fail(self, stream: Stream, error: BaseException) -> None:
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
            self._hang_up()
        elif self._core.ready:
            # Not at once: other connections have waited too.
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        try:
            self._handle(self._core.go_on())
        except Exception:  # noqa: BLE001 - see `_broken`
            self._broken()
        self._flush()

    def _hang_up(self) -> None:
        """Nothing more is read: what the sessions do for it is given up."""
        for stream in self._core.abandon():
            self._end(stream, End.GONE)
        if not self._transport.is_closing():
            self._transport.close()
            # `close` waits until the other end has read what was written; for one that never does, not for ever.
            self._loop.call_later(_PATIENCE, self._transport.abort)

    def pause_writing(self) -> None:
        # What has come already, or waits for a filter, is not answered either.
        self._core.pause()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._core.unpause()
        if not self._transport.is_closing():
            self._transport.resume_reading()
            # Later, for it may be a write of ours that this is called by.
            self._loop.call_soon(self._go_on)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._handshake.cancel()
        self._server.lost(self)
        self._core.close()
        self._hang_up()

    def late(self, now: float) -> float:
        """See `Server.late`. Nothing that we have not read, or may not: then it is the other end that comes late."""
        late = self._core.late(now)
        if not late or not self._transport.is_reading():
            return 0.0
        self._flush()
        peer = self._transport.get_extra_info("socket")
        return late if peer is not None and _unread(peer.fileno()) else 0.0

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
        self, address: str, methods: Methods, *,
        tls: Tls | None = None, shared: bool = False, limits: Limits = _LIMITS, most: int = _CONNECTIONS,
    ) -> None:  # fmt: skip
        """`address`: `unix:/path`, `127.0.0.1:50051`, `[::1]:50051`. Raises `OSError` for certificates that cannot be read.

        `shared`: other processes may listen on the same port, and the kernel spreads connections over them (SO_REUSEPORT).
        `most`: connections at once; those beyond are closed as they come. Envoy has one or two for each of its threads.
        """
        self._address = address
        self._shared = shared
        self._handshakes = Handshakes(address)
        self._tls = context(tls, self._handshakes) if tls is not None else None
        self.methods: dict[bytes, Opener] = {name.encode(): opener for name, opener in methods.items()}
        self.limits = limits
        self._most = most
        self._silent_until = 0.0
        self.connections: set[Driver] = set()
        self._emptied = asyncio.Event()
        self.endings = Endings()
        self._listening: asyncio.Server | None = None

    @property
    def handshakes_failed(self) -> int:
        """See `seam.Server`."""
        return self._handshakes.failed

    def late(self) -> float:
        """See `seam.Server`."""
        now = asyncio.get_running_loop().time()
        return max((connection.late(now) for connection in list(self.connections)), default=0.0)

    async def start(self) -> None:
        """See `seam.Server`."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": self._tls, "backlog": _BACKLOG}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = min(self.limits.handshake, _TLS_HANDSHAKE)
        if self._address.startswith("unix:"):
            path = self._address.removeprefix("unix:")
            self._listening = await loop.create_unix_server(lambda: Driver(self), path, **options)
        else:
            host, _, port = self._address.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            self._listening = await loop.create_server(lambda: Driver(self), host, int(port), reuse_port=self._shared, **options)

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
        await self.endings.wait()

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

    def gained(self, connection: Driver) -> bool:
        """A connection has begun. False: there are too many."""
        if len(self.connections) < self._most:
            self.connections.add(connection)
            return True
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            # Once in a while: whoever makes so many connections must not fill the disk as well.
            self._silent_until = now + _SAY_AGAIN
            _log.warning("%s has %d connections; more are closed as they come", self._address, self._most)
        return False

    def lost(self, connection: Driver) -> None:
        """A connection is over."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()
