"""The control process's end of the link: answers the workers' calls, pushes to all of them, and notices when one dies."""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from extproc.link.client import AWAY
from extproc.link.frames import Frame, FrameError, FrameReader, Kind, encode

logger = logging.getLogger(__name__)

_UNSENT = 160 << 20
"""Bytes that may wait to be sent to one worker. More means that it has stopped reading: it is cut off, and will come back."""
_TOGETHER = 64 * 1024
"""Bytes of answers that are sent together at most."""
_BACKLOG = 128


class Peer(asyncio.Protocol):
    """A connected worker."""

    def __init__(self, server: "LinkServer", number: int) -> None:
        self.number = number
        """Tells connections apart; a worker that comes back has a new one."""
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pushes: dict[int, asyncio.Future[bool]] = {}
        self._ids = itertools.count(1)
        self._held: list[bytes] = []
        """Frames that are sent together."""
        self._held_bytes = 0
        self._holding = False

    def push(self, method: str, payload: bytes = b"") -> "asyncio.Future[bool]":
        """Sends at once. The future is True when the worker has taken it, False when it is gone; it has no time limit."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        number = next(self._ids)
        self._pushes[number] = future
        if not self._send(Frame(Kind.PUSH, number, method, payload)):
            future.set_result(False)
        return future

    def close(self) -> None:
        """Hangs up at once, whatever is still to be sent."""
        if self._transport is not None:
            self._transport.abort()

    async def quiet(self) -> None:
        """Returns when no call of its is being answered any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass
        self._server._joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()
        for future in self._pushes.values():
            if not future.done():
                future.set_result(False)
        self._pushes.clear()
        self._server._left(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            logger.error("worker connection %d sent nonsense: %s", self.number, error)
            assert self._transport is not None
            self._transport.abort()
            return
        # Writing costs more than answering: what came together is answered together.
        self._holding = True
        try:
            for frame in frames:
                self._received(frame)
        finally:
            self._holding = False
            self._release()

    def _received(self, frame: Frame) -> None:
        if frame.kind is Kind.DONE:
            future = self._pushes.pop(frame.id, None)
            if future is not None and not future.done():
                future.set_result(True)
        elif frame.kind in (Kind.CALL, Kind.NOTIFY):
            self._called(frame)

    def _handler(self, method: str) -> "Handler":
        handler = self._server.handlers.get(method)
        if handler is None:
            raise LookupError(f"unknown method {method!r}")
        return handler

    def _called(self, frame: Frame) -> None:
        """Handlers that do not wait are answered here and now, without a task."""
        try:
            result = self._handler(frame.method)(self, frame.payload)
        except Exception as error:  # noqa: BLE001 - a handler's bug fails this call, not the connection that all calls share
            self._failed(frame, error)
            return
        if isinstance(result, bytes):
            self._answer(frame, result)
            return
        task = asyncio.ensure_future(self._wait(frame, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, frame: Frame, result: Awaitable[bytes]) -> None:
        try:
            self._answer(frame, await result)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(frame, error)

    def _answer(self, frame: Frame, payload: bytes) -> None:
        if frame.kind is Kind.CALL:
            try:
                self._send(Frame(Kind.RESULT, frame.id, "", payload))
            except FrameError as error:
                self._failed(frame, error)

    def _failed(self, frame: Frame, error: Exception) -> None:
        logger.error("call %r of worker connection %d failed", frame.method, self.number, exc_info=error)
        if frame.kind is Kind.CALL:
            self._send(Frame(Kind.FAILED, frame.id, "", f"{type(error).__name__}: {error}".encode()))

    def _send(self, frame: Frame) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _UNSENT:
            logger.error("worker connection %d does not read, cut off", self.number)
            transport.abort()
            return False
        data = encode(frame)
        self._held.append(data)
        self._held_bytes += len(data)
        if not self._holding or self._held_bytes >= _TOGETHER:
            self._release()
        return True

    def _release(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and self._transport is not None and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))


Handler = Callable[[Peer, bytes], bytes | Awaitable[bytes]]
Hook = Callable[[Peer], object]


class LinkServer:
    """Listens at `path` (mode 0600). `handlers` answer calls and notices; those that return bytes must not take long.

    `on_connect` runs before a worker's first call is read, the place to push what it needs to know; `on_disconnect` when it is gone.
    """

    def __init__(
        self, path: str, handlers: Mapping[str, Handler], *, on_connect: Hook | None = None, on_disconnect: Hook | None = None
    ) -> None:
        self.path = path
        self.handlers = dict(handlers)
        self._on_connect = on_connect
        self._on_disconnect = on_disconnect
        self._peers: dict[int, Peer] = {}
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._inode = 0

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The workers that are connected."""
        return tuple(self._peers.values())

    async def start(self, listener: socket.socket | None = None) -> None:
        """Begins to listen. A socket that nobody listens on any more is replaced; raises `OSError` if somebody does.

        `listener`: the socket at `path`, if the control process before has handed it over.
        """
        listener = listener or _bind(self.path)
        self._inode = os.stat(self.path).st_ino
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Peer(self, next(self._numbers)), sock=listener, backlog=_BACKLOG)

    async def close(self) -> None:
        """Stops listening and hangs up on everybody."""
        if self._server is None:
            return
        self._server.close()
        for peer in self.peers:
            peer.close()
        with contextlib.suppress(FileNotFoundError):
            # Another control process may have taken the path since.
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        await self._server.wait_closed()
        self._server = None

    async def away(self, within: float) -> None:
        """Tells the workers that another control process comes, and returns when all that they had said before has been done; after
        `within` seconds in any case.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.push(AWAY, timeout=within)
                await asyncio.gather(*(peer.quiet() for peer in self.peers))

    def keep(self) -> int:
        """The socket that is listened on, for the next control process: a descriptor of its own. Whoever comes now waits for that one."""
        assert self._server is not None
        listening = self._server.sockets[0].fileno()
        # Closing the server would do, but newer Pythons then remove the socket's path.
        asyncio.get_running_loop().remove_reader(listening)
        return os.dup(listening)

    async def push(self, method: str, payload: bytes = b"", *, timeout: float = 5.0) -> int:
        """Pushes to every worker, and says how many have taken it within `timeout` seconds."""
        futures = [peer.push(method, payload) for peer in self.peers]
        if not futures:
            return 0
        done, _ = await asyncio.wait(futures, timeout=timeout)
        return sum(future.result() for future in done)

    def _joined(self, peer: Peer) -> None:
        self._peers[peer.number] = peer
        if self._on_connect is not None:
            self._on_connect(peer)

    def _left(self, peer: Peer) -> None:
        self._peers.pop(peer.number, None)
        if self._on_disconnect is not None:
            self._on_disconnect(peer)


def _bind(path: str) -> socket.socket:
    """A socket bound at `path`. Nobody can connect before it listens, and by then it is ours alone."""
    if os.path.exists(path):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(f"{path} exists and is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
            else:
                raise OSError(f"{path} is in use by another control process")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.setblocking(False)
    return listener
