"""The load generator: a process that keeps a number of connections busy, without think time, and tells what it saw.

It takes jobs from its standard input, one a line, and answers each with two lines: first that all connections are open and warm (one
request on each has been answered), and, once it was told to go on with an empty line, the result. So the processes' CPU can be read in
between. Anything but 200 and a whole answer is an error of the run, never a sample.
"""

import asyncio
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

from bench.body import Payload, payload
from bench.figures import percentile
from bench.system import Target

_MS = 1e-6
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STAMP = re.compile(rb"@(\d{20})")
_LAST_CHUNK = b"0\r\n\r\n"
_STAMP_LENGTH = 21
_OK = b"HTTP/1.1 200"
_WARM = 2
"""Events of the streams that warm up."""


class Job(Struct, frozen=True, kw_only=True):
    """One turn of load."""

    target: Target
    size: int
    """Bytes of each body."""
    concurrency: int
    seconds: float
    """How long requests are started; those under way are then waited for."""
    events: int = 0
    """Events of each stream; 0 asks for an answer that is not streamed."""
    unique: bool = True
    """False: all bodies are the same, so that a cache has the answer after the first."""


class Result(Struct, frozen=True, kw_only=True):
    """What one turn saw. Times are in milliseconds."""

    count: int = 0
    seconds: float = 0.0
    """From the first request to the last answer."""
    p50: float = 0.0
    p99: float = 0.0
    first_p50: float = 0.0
    """From the request to the first event of its stream."""
    first_p99: float = 0.0
    late_p50: float = 0.0
    """From the moment an event left the provider until it was here; of all events but the first."""
    late_p99: float = 0.0
    events: int = 0
    reads: int = 0
    """Reads that brought them: as many as events, if no two were merged on their way."""
    error: str = ""
    """What went wrong; then nothing else counts."""

    @property
    def rps(self) -> float:
        """Requests answered a second."""
        return self.count / self.seconds if self.seconds else 0.0


class LoadError(RuntimeError):
    """An answer that was not what was asked for."""


class Turn:
    """One job under way: its connections, and what they have measured."""

    def __init__(self, job: Job, number: Callable[[], int]) -> None:
        """`number` gives the next request's number."""
        self.job = job
        self.expected = 0
        """Events of each stream that is asked for now."""
        self._request: Payload
        self.deadline = 0
        self.took: list[int] = []
        self.firsts: list[int] = []
        self.late: list[int] = []
        self.reads = 0
        self.last = 0
        self._number = number
        self._connections: list[Connection] = []
        self._busy = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connects, and sends one request on each connection."""
        loop = asyncio.get_running_loop()
        target = self.job.target
        for _ in range(self.job.concurrency):
            _, connection = await loop.create_connection(lambda: Connection(self), target.host, target.port)
            self._connections.append(connection)
        await self._run(min(self.job.events, _WARM))

    async def measure(self) -> Result:
        """The turn itself."""
        for values in (self.took, self.firsts, self.late):
            values.clear()
        self.reads = 0
        began = time.monotonic_ns()
        self.deadline = began + int(self.job.seconds * 1e9)
        await self._run(self.job.events)
        took, firsts, late = (sorted(values) for values in (self.took, self.firsts, self.late))
        return Result(
            count=len(took),
            seconds=(self.last - began) * 1e-9,
            p50=percentile(took, 50) * _MS,
            p99=percentile(took, 99) * _MS,
            first_p50=percentile(firsts, 50) * _MS,
            first_p99=percentile(firsts, 99) * _MS,
            late_p50=percentile(late, 50) * _MS,
            late_p99=percentile(late, 99) * _MS,
            events=len(firsts) + len(late),
            reads=self.reads,
        )

    async def _run(self, events: int) -> None:
        self.expected = events
        self._request = payload(self.job.target, size=self.job.size, events=events)
        self._done = asyncio.get_running_loop().create_future()
        self._busy = len(self._connections)
        for connection in self._connections:
            connection.send()
        await self._done

    def next(self) -> list[bytes]:
        """The next request."""
        return self._request.with_number(self._number() if self.job.unique else 0)

    def idle(self) -> None:
        """A connection has nothing left to do."""
        self._busy -= 1
        if not self._busy and not self._done.done():
            self._done.set_result(None)

    def fail(self, why: str) -> None:
        """Something was not as it has to be: the turn is over."""
        if not self._done.done():
            self._done.set_exception(LoadError(why))

    def close(self) -> None:
        """Hangs up."""
        for connection in self._connections:
            connection.close()


class Connection(asyncio.Protocol):
    """One client: the next request goes out in the moment in which the last answer is whole."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._began = 0
        self._waiting = False
        self._buffer = b""
        self._missing = 0
        self._chunked = False
        self._in_body = False
        self._seen = 0
        self._rest = b""
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        # uvloop's transports are asyncio's in all but their base class.
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hung up, by whomever."""
        if self._waiting:
            self._turn.fail(f"the connection was closed in the middle of an answer ({exc or 'end of file'})")

    def close(self) -> None:
        """Hangs up."""
        self._waiting = False
        self._transport.abort()

    def send(self) -> None:
        """The next request."""
        self._waiting = True
        pieces = self._turn.next()
        self._began = time.monotonic_ns()
        self._transport.writelines(pieces)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        now = time.monotonic_ns()
        if not self._in_body:
            begun = self._head(self._buffer + data)
            if begun is None:
                return
            data = begun
        if self._turn.expected:
            self._events(data, now)
        if self._chunked:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            if self._tail == _LAST_CHUNK:
                self._finish(now)
            return
        self._missing -= len(data)
        if self._missing <= 0:
            self._finish(now)

    def _head(self, data: bytes) -> bytes | None:
        """Reads the head; what there is of the body, or None if the head is not whole yet."""
        end = data.find(_HEAD_END)
        if end < 0:
            self._buffer = data
            return None
        self._buffer = b""
        if not data.startswith(_OK):
            self._turn.fail(f"answered with {data[:600].decode(errors='replace')}")
            self.close()
            return None
        length = _LENGTH.search(data, 0, end + 2)
        self._chunked = length is None
        self._missing = int(length[1]) if length else 0
        if length is None and _CHUNKED.search(data, 0, end + 2) is None:
            self._turn.fail("answered with neither content-length nor transfer-encoding")
            self.close()
            return None
        self._in_body = True
        return data[end + 4 :]

    def _events(self, data: bytes, now: int) -> None:
        data = self._rest + data
        self._rest = b""
        end = 0
        found = 0
        for stamp in _STAMP.finditer(data):
            end = stamp.end()
            found += 1
            if self._seen:
                self._turn.late.append(now - int(stamp[1]))
            else:
                self._turn.firsts.append(now - self._began)
            self._seen += 1
        if found:
            self._turn.reads += 1
        # A stamp may be cut in two.
        if (at := data.find(b"@", max(end, len(data) - _STAMP_LENGTH))) >= 0:
            self._rest = data[at:]

    def _finish(self, now: int) -> None:
        turn = self._turn
        if self._seen != turn.expected:
            turn.fail(f"a stream of {turn.expected} events came with {self._seen}")
            self.close()
            return
        turn.took.append(now - self._began)
        turn.last = now
        self._waiting = self._in_body = False
        self._tail = self._rest = b""
        self._seen = 0
        if now < turn.deadline:
            self.send()
        else:
            turn.idle()


class Load:
    """Runs jobs, one after the other. Requests are numbered through all of them, so no two unique bodies are the same."""

    def __init__(self) -> None:
        self._sent = time.time_ns() // 1000

    def _number(self) -> int:
        self._sent += 1
        return self._sent

    async def run(self, job: Job, ready: Callable[[], "asyncio.Future[None] | None"] = lambda: None) -> Result:
        """One job. What `ready` returns is awaited between warming up and measuring. Raises `LoadError`, `OSError`."""
        turn = Turn(job, self._number)
        try:
            await turn.open()
            if (waited := ready()) is not None:
                await waited
            return await turn.measure()
        finally:
            turn.close()


_READY = b"ready\n"


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    load = Load()

    def tell(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    async def go() -> None:
        tell(_READY)
        await reader.readline()

    while line := await reader.readline():
        job = msgspec.json.decode(line, type=Job)
        try:
            result = await load.run(job, lambda: asyncio.ensure_future(go()))
        except (LoadError, OSError) as error:
            result = Result(error=str(error))
        tell(msgspec.json.encode(result) + b"\n")


def main() -> int:
    """Entry of the process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    uvloop.run(_main())
    return 0


if __name__ == "__main__":
    sys.exit(main())
