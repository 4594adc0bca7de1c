"""Instructions per request, counted by callgrind: a guard that does not drift with the machine's load, as times do.

    python -m bench.counts

Two processes serve the same requests, one with 10 keys and 10 routes and one with a million keys and 10,000 routes: through the native
transport, by sessions that say "go on" and by those of the gate (key, route, headers, a cache that misses, meter). Of each kind of
request a few are counted and then more; the difference is what one costs, without start-up or warming. Exit code 1: something costs more
than `LIMITS` allow, or grows with keys and routes by more than `GROWTH`.

Instructions are not time: misses in the processor's caches are not counted, and valgrind's processor has no instructions for SHA-256.
"""

import argparse
import asyncio
import itertools
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import hpack
import msgspec
import uvloop

from bench import callgrind, noop, translation_counts
from bench.callgrind import Kind
from bench.engine import answered, asked, chat, engine, streamed
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.keyfile import Stamp, write_key_file
from extproc.keys import KeyState, StoredKey, digest
from extproc.transport.http2 import codes
from extproc.transport.http2.stream import PREFIX
from extproc.transport.native import Driver, Server
from extproc.transport.seam import Opener

SMALL, LARGE = (10, 10), (1_000_000, 10_000)
"""Keys and routes."""
GROWTH = 1.10

NO_OP, PIPELINE, STRANGER = "no-op stream", "pipeline", "pipeline, any key"
NO_OP_EVENT, EVENT = "no-op event", "event"
NO_OP_400, PIPELINE_400 = "no-op, 400 KB", "pipeline, 400 KB"

LIMITS = {NO_OP: 210, PIPELINE: 1_300, NO_OP_EVENT: 33, EVENT: 46, NO_OP_400: 2_200, PIPELINE_400: 22_500, STRANGER: 1_325}
"""Thousands of instructions: as measured, and a sixth to a quarter more, since Pythons and processors differ."""

_TOLD = 1024
"""Keys that travel with the snapshot; more are in a key file (`control.keyfiles.FOLD`)."""
_REGULARS = 1000
"""Callers that call again and again; which is how keys are used."""
_READ = 256 * 1024
"""What uvloop reads at once."""
_KEY = re.compile(rb"hg-[\w-]{43}")
_ID = re.compile(rb"[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}")
_ids = itertools.count(1)


def key(number: int) -> str:
    """A caller's key, as long as a real one."""
    return f"hg-{number:043}"


def key_state(folder: Path, count: int) -> KeyState:
    """So many keys as a snapshot tells them: in itself, or in a file in `folder`."""
    keys = (StoredKey(f"key-{number}", digest(key(number)), f"team-{number % 1000}") for number in range(count))
    if count <= _TOLD:
        return KeyState(added=tuple(keys))
    return KeyState(file=str(write_key_file(folder, keys, Stamp(1, bytes(8)))))


def model(number: int) -> str:
    """A name to ask for."""
    return f"model-{number:05}-large"


def route_names(count: int) -> list[str]:
    """So many names of routes, of which every tenth is a pattern."""
    return [f"model-{number:05}-*" if number % 10 == 0 else model(number) for number in range(count)]


class Question:
    """A request that is asked again and again, by other callers, of other models, and never twice the same. Its making costs little."""

    def __init__(self, document: dict[str, object]) -> None:
        head, self._body = asked({**document, "model": model(0)})
        (found,) = _ID.findall(self._body)
        self._id = found
        self._head = _KEY.sub(key(0).encode(), head)

    def asked(self, caller: int, route: int) -> list[bytes]:
        """Its two messages."""
        id = b"%036x" % next(_ids)
        head = self._head.replace(key(0).encode(), key(caller).encode(), 1).replace(self._id, id, 1)
        return [head, self._body.replace(model(0).encode(), model(route).encode(), 1).replace(self._id, id, 1)]


class _Sheet(asyncio.Transport):
    """A transport that ends on paper: what is written is kept until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written.append(data)

    def is_closing(self) -> bool:
        return False

    def taken(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


class Line:
    """One connection of Envoy's to a native server, without a socket. It needs a loop that runs, and no turn of it."""

    def __init__(self, opener: Opener) -> None:
        self._sheet = _Sheet()
        self.driver = Driver(Server("unix:/nowhere", {names.PROCESS: opener}))
        self.driver.connection_made(self._sheet)
        self._numbers = itertools.count(1, 2)
        packer = hpack.Encoder()
        packer.header_table_size = 0
        head = {":method": "POST", ":scheme": "http", ":path": names.PROCESS, ":authority": "headgate_gate", "te": "trailers",
                "content-type": "application/grpc", "x-envoy-internal": "true", "grpc-timeout": "30000m"}  # fmt: skip
        self._head = packer.encode(head.items())
        opened = codes.settings({codes.Setting.HEADER_TABLE_SIZE: 0, codes.Setting.INITIAL_WINDOW_SIZE: 1 << 24})
        self.hear(codes.PREFACE + opened + codes.frame(codes.SETTINGS, codes.ACK, 0))
        self.hear(codes.window_update(0, codes.LARGEST_WINDOW - codes.DEFAULT_WINDOW))

    def stream(self, messages: Iterable[bytes]) -> list[bytes]:
        """What is read of a stream with these messages. Streams have to be heard in the order in which they were made."""
        number = next(self._numbers)
        reads = []
        ahead = codes.frame(codes.HEADERS, codes.END_HEADERS, number, self._head)
        for message in messages:
            whole = PREFIX.pack(0, len(message)) + message
            size = codes.SMALLEST_FRAME_LIMIT
            frames = [codes.frame(codes.DATA, 0, number, whole[at : at + size]) for at in range(0, len(whole), size)]
            data, ahead = ahead + b"".join(frames), b""
            reads += [data[at : at + _READ] for at in range(0, len(data), _READ)]
        return [*reads, codes.frame(codes.DATA, codes.END_STREAM, number)]

    def hear(self, data: bytes) -> bytes:
        """Bytes come; what is written."""
        self.driver.data_received(data)
        return self._sheet.taken()

    def hear_all(self, streams: Iterable[Iterable[bytes]]) -> None:
        """All reads of streams, one after the other."""
        for reads in streams:
            for data in reads:
                self.hear(data)


class Load:
    """What is asked of one worker."""

    def __init__(self, folder: Path, keys: int, routes: int, file: str) -> None:
        self._keys, self._routes = keys, routes
        self._random = random.Random(1)  # noqa: S311 - the same callers each time
        self._regulars = self._random.sample(range(keys), min(keys, _REGULARS))
        made = engine(folder, KeyState(file=file) if file else key_state(folder, keys), route_names(routes))
        self._gate, self._noop = Line(lambda: GateSession(made)), Line(noop.Session)
        self._answer, self._stream = answered(), streamed()
        self._miss = Question(chat(10_000, temperature=0, stream=False))
        self._large = Question(chat(400_000, temperature=0, stream=False))
        self._streaming = Question(chat(10_000, temperature=None, stream=True))

    def _ask(self, question: Question, caller: int | None = None) -> list[bytes]:
        by = self._random.choice(self._regulars) if caller is None else caller
        return question.asked(by, self._random.randrange(self._routes))

    def _whole(self, line: Line, question: Question, callers: Iterable[int | None]) -> list[list[bytes]]:
        return [line.stream([*self._ask(question, caller), *self._answer]) for caller in callers]

    def _events(self, line: Line, count: int) -> list[list[bytes]]:
        head, *events = self._stream
        return [line.stream([*self._ask(self._streaming), head, *events[:count]]) for _ in range(5)]

    def warm(self) -> None:
        """All that is remembered is, as in a worker that has run for a while."""
        for caller in self._regulars:
            head, _ = self._ask(self._miss, caller)
            self._gate.hear_all([self._gate.stream([head])])
        for line in (self._noop, self._gate):
            line.hear_all(self._whole(line, self._miss, [None] * 30))
            line.hear_all(self._whole(line, self._large, [None]))
            line.hear_all(self._events(line, 5))

    def kinds(self) -> Iterator[Kind]:
        """One after another, since streams have an order."""
        for line, name in ((self._noop, NO_OP), (self._gate, PIPELINE)):
            yield _kind(name, line, self._whole(line, self._miss, [None] * 20), self._whole(line, self._miss, [None] * 120), 100)
        for line, name in ((self._noop, NO_OP_EVENT), (self._gate, EVENT)):
            yield _kind(name, line, self._events(line, 10), self._events(line, 50), 200)
        for line, name in ((self._noop, NO_OP_400), (self._gate, PIPELINE_400)):
            yield _kind(name, line, self._whole(line, self._large, [None]), self._whole(line, self._large, [None] * 4), 3)
        strangers = self._random.sample(range(self._keys), min(self._keys, 140)) * 14
        few, many = (self._whole(self._gate, self._miss, part) for part in (strangers[:20], strangers[20:140]))
        # Every caller is a new one, who has to be looked up in the key file.
        yield _kind(STRANGER, self._gate, few, many, 100)


def _kind(name: str, line: Line, few: list[list[bytes]], many: list[list[bytes]], more: int) -> Kind:
    """`few` and `many`: what is read of each of some streams."""
    return Kind(name, partial(line.hear_all, few), partial(line.hear_all, many), more)


def serve(load: Load) -> dict[str, int]:
    """Serves all that is asked, with a mark before and after what is counted. By kind: how much more there is in the second count."""
    load.warm()
    return callgrind.mark(load.kinds())


def count(keys: int, routes: int, file: str = "") -> dict[str, float]:
    """Runs a process under callgrind. Thousands of instructions, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        return callgrind.count("bench.counts", [folder, str(keys), str(routes), file])


def report(small: dict[str, float], large: dict[str, float]) -> tuple[str, bool]:
    """A table, and whether all is within its limits."""
    lines = [f"{'thousands of instructions':28}{'10 and 10':>12}{'1 M and 10,000':>16}{'growth':>9}{'limit':>9}"]
    good = True
    for name, limit in LIMITS.items():
        growth = large[name] / small[name]
        wrong = max(small[name], large[name]) > limit or growth > GROWTH
        good = good and not wrong
        lines.append(f"{name:28}{small[name]:12.1f}{large[name]:16.1f}{growth - 1:9.1%}{limit:9}{'   TOO MUCH' if wrong else ''}")
    return "\n".join(lines), good


async def _inside(folder: str, keys: str, routes: str, file: str) -> None:
    # A stream's record is told anew when time has passed, and under valgrind it does.
    time.monotonic = itertools.repeat(time.monotonic()).__next__
    told = serve(Load(Path(folder), int(keys), int(routes), file))
    print(msgspec.json.encode(told).decode())


def main() -> int:
    """Counts, prints and judges."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--inside", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        uvloop.run(_inside(*given.inside))
        return 0
    if not shutil.which("valgrind"):
        print("bench.counts: valgrind, which counts the instructions, is not on PATH (apt-get install valgrind)", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            _tell("counting with 10 keys and 10 routes, under valgrind, where all takes fifty times as long: about a minute")
            small = count(*SMALL)
            _tell("counting with a million keys and 10,000 routes: another minute or two")
            large = count(*LARGE, key_state(Path(folder), LARGE[0]).file)
            _tell("counting what translation takes, for every two dialects: two more")
            pairs = translation_counts.count()
    except KeyboardInterrupt:
        _tell("broken off")
        return 130
    text, good = report(small, large)
    print(text)
    text, translated = translation_counts.report(pairs)
    print(text)
    return 0 if good and translated else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
