"""A worker's end of the link. It survives the control process: while there is none, every call fails at once, and it comes back."""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Mapping
from typing import cast

from extproc.link.frames import Frame, FrameError, FrameReader, Kind, encode

logger = logging.getLogger(__name__)

TIMEOUT = 2.0
"""Seconds that a call may take, unless it says otherwise."""
_FIRST, _LAST = 0.02, 1.0
"""Seconds between attempts to connect: doubled from the first to the last, then a random half taken off, so that workers spread."""
_UNSENT = 160 << 20
"""Bytes that may wait to be sent. More means that the control process has stopped reading: it counts as gone."""

AWAY = "away"
"""The push by which a control process says that it is about to be replaced by another one: what must not be lost waits for that."""
BACK = "back"
"""The push by which the other one says that it is there, if it has nothing else to say yet."""
_AWAY_MOST = 30.0
"""Seconds that it is waited for."""
_HELD_MOST = 64 << 20
"""Bytes that may wait for it."""

PushHandler = Callable[[bytes], None]


class LinkDown(Exception):
    """The control process cannot be reached, or did not answer in time. Whoever calls goes on without it."""


class LinkFailed(Exception):
    """The control process answered that the call failed: unknown method, or a bug over there."""


class Link:
    """A connection to the control process that is made again whenever it is lost.

    `handlers` names what may be pushed: they run at once, in the loop, and a push counts as acknowledged when they return.
    `on_up` is called after each connect, before any call can use it: what the control process forgot is told again there.
    Calls are plain futures, so that they may be awaited outside of a task.

    A control process that is being replaced says so beforehand (`AWAY`). Until another one pushes something, calls fail at once, as they
    do while there is none; but those that say `hold` wait, and are sent then.
    """

    def __init__(self, path: str, handlers: Mapping[str, PushHandler] | None = None, on_up: Callable[[], None] | None = None) -> None:
        self._path = path
        self._handlers = {AWAY: self._away, BACK: lambda _: None, **(handlers or {})}
        self._on_up = on_up
        self._ids = itertools.count(1)
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._transport: asyncio.Transport | None = None
        self._up = asyncio.Event()
        self._held: dict[int, bytes] | None = None
        """While the control process is away: the frames that wait to be sent, by their number."""
        self._held_bytes = 0
        self._waking: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, path: str, handlers: Mapping[str, PushHandler] | None = None, on_up: Callable[[], None] | None = None, *, wait: float = 5.0
    ) -> "Link":
        """A link that is up. Raises `LinkDown` if nobody answers at `path` within `wait` seconds."""
        link = cls(path, handlers, on_up)
        link.start()
        if not await link.ready(wait):
            await link.close()
            raise LinkDown(f"nobody answers at {path}")
        return link

    @property
    def up(self) -> bool:
        """True while there is a connection, and somebody at its other end."""
        return self._transport is not None and self._held is None

    def start(self) -> None:
        """Begins to connect, in the background."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def ready(self, wait: float) -> bool:
        """Waits until there is a connection, at most `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Closes for good. Calls under way fail."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
        self._back()
        self._lost()

    async def call(self, method: str, payload: bytes = b"", *, timeout: float = TIMEOUT, hold: bool = False) -> bytes:
        """Asks the control process. Raises `LinkDown` after `timeout` seconds at the latest, at once if there is no connection.

        `hold`: while the control process is being replaced, it waits for the other one, which takes longer than `timeout`.
        """
        call = next(self._ids)
        if self._held is not None:
            timeout += _AWAY_MOST
        self._send(Frame(Kind.CALL, call, method, payload), hold=hold)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._calls[call] = future
        timer = loop.call_later(timeout, _fail, future, LinkDown(f"{method}: no answer within {timeout} s"))
        try:
            return await future
        finally:
            timer.cancel()
            self._calls.pop(call, None)

    def notify(self, method: str, payload: bytes = b"", *, hold: bool = False) -> bool:
        """Tells the control process, and waits for nothing. False if that is known to be in vain. `hold`: as for `call`."""
        try:
            self._send(Frame(Kind.NOTIFY, next(self._ids), method, payload), hold=hold)
        except LinkDown:
            return False
        return True

    def _send(self, frame: Frame, *, hold: bool = False) -> None:
        transport = self._transport
        if self._held is None and (transport is None or transport.is_closing()):
            raise LinkDown("the control process cannot be reached")
        try:
            data = encode(frame)
        except FrameError as error:
            raise LinkDown(str(error)) from None
        if self._held is not None and frame.kind is not Kind.DONE:
            self._hold(frame.id, data, hold)
            return
        self._write(data)

    def _hold(self, number: int, data: bytes, wanted: bool) -> None:
        assert self._held is not None
        if not wanted or self._held_bytes + len(data) > _HELD_MOST:
            raise LinkDown("the control process is being replaced")
        self._held[number] = data
        self._held_bytes += len(data)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise LinkDown("the control process cannot be reached")
        if transport.get_write_buffer_size() > _UNSENT:
            transport.abort()
            raise LinkDown("the control process does not read")
        transport.write(data)

    async def _keep(self) -> None:
        """Connects, waits until the connection is lost, and again, for ever."""
        loop = asyncio.get_running_loop()
        pause = _FIRST
        while True:
            began = loop.time()
            lost: asyncio.Future[None] = loop.create_future()
            try:
                await loop.create_unix_connection(lambda lost=lost: _Connection(self, lost), self._path)  # type: ignore[misc]
                await lost
                if self._held is None:
                    logger.warning("lost the control process at %s", self._path)
            except OSError as error:
                logger.debug("cannot reach the control process at %s: %s", self._path, error)
            if loop.time() - began > _LAST:
                pause = _FIRST
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(_LAST, pause * 2)

    def _connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._up.set()
        # While one control process follows another, the connection waits in the socket that both share.
        if self._on_up is not None and self._held is None:
            self._on_up()

    def _lost(self) -> None:
        self._transport = None
        self._up.clear()
        held = self._held or {}
        calls, self._calls = self._calls, {number: call for number, call in self._calls.items() if number in held}
        for future in (call for number, call in calls.items() if number not in held):
            _fail(future, LinkDown("lost the control process"))

    def _away(self, _: bytes) -> None:
        """The control process says that it goes, and that another one comes."""
        self._held, self._held_bytes = {}, 0
        self._waking = asyncio.get_running_loop().call_later(_AWAY_MOST, self._back)

    def _back(self) -> None:
        """Another one is there, or is waited for no longer."""
        held, self._held = self._held, None
        if self._waking is not None:
            self._waking.cancel()
        if held is not None and self._transport is not None and self._on_up is not None:
            self._on_up()
        for number, data in (held or {}).items():
            try:
                self._write(data)
            except LinkDown as error:
                if (call := self._calls.get(number)) is not None:
                    _fail(call, error)
                else:
                    logger.error("what the next control process was to be told is lost: %s", error)

    def _received(self, frame: Frame) -> None:
        if frame.kind is Kind.PUSH:
            if self._held is not None:
                self._back()
            self._pushed(frame)
            return
        future = self._calls.get(frame.id)
        if future is None or future.done():
            return
        if frame.kind is Kind.RESULT:
            future.set_result(frame.payload)
        elif frame.kind is Kind.FAILED:
            future.set_exception(LinkFailed(frame.payload.decode(errors="replace")))

    def _pushed(self, frame: Frame) -> None:
        handler = self._handlers.get(frame.method)
        if handler is None:
            logger.error("the control process pushed %r, which nobody takes", frame.method)
            return
        try:
            handler(frame.payload)
        except Exception:  # a handler's bug must not cost the connection; the missing acknowledgement tells the other side
            logger.exception("push %r failed", frame.method)
            return
        try:
            self._send(Frame(Kind.DONE, frame.id))
        except LinkDown:
            logger.debug("push %r could not be acknowledged", frame.method)


class _Connection(asyncio.Protocol):
    """One connection, from its making to its end."""

    def __init__(self, link: Link, lost: "asyncio.Future[None]") -> None:
        self._link = link
        self._lost = lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass
        self._link._connected(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            logger.error("the control process sent nonsense: %s", error)
            assert self._transport is not None
            self._transport.abort()
            return
        for frame in frames:
            self._link._received(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._link._lost()
        if not self._lost.done():
            self._lost.set_result(None)


def _fail(future: "asyncio.Future[bytes]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
