"""What becomes of the gateway where the machine runs out of something, or its clock jumps."""

import asyncio
import itertools
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

from bench.faults.play import Part, Play, rest
from bench.faults.site import SiteError

_WHILE = 3.0
_MANY = 60
"""Requests that all want connections.
"""
_DAY = 86_400
_DISK = "16m"
CLOCK = "FAULTS_CLOCK"
_JUMPING = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long jump(void) {
    static volatile long *seconds;
    if (!seconds) {
        const char *path = getenv("FAULTS_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        if (page == MAP_FAILED) return 0;
        seconds = page;
    }
    return *seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec read;
    if (clock_gettime(CLOCK_REALTIME, &read)) return -1;
    now->tv_sec = read.tv_sec, now->tv_usec = read.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *seen) {
    struct timespec read;
    clock_gettime(CLOCK_REALTIME, &read);
    if (seen) *seen = read.tv_sec;
    return read.tv_sec;
}
"""
"""A wall clock that is off by as many seconds as a file says: namespaces of time have none of it (time_namespaces(7))."""


def small_disk() -> tuple[str, ...]:
    """The command that starts a gateway whose state folder is a small disk of its own; nothing where this machine has no such thing."""
    inside = f'mkdir -p state && mount -t tmpfs -o size={_DISK} none state && exec "$@"'
    for flags in (("-m",), ("-U", "-r", "-m")):
        tried = subprocess.run(["unshare", *flags, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True)  # noqa: S607
        if tried.returncode == 0:
            return ("unshare", *flags, "sh", "-c", inside, "sh")
    return ()


@contextmanager
def jumping_clock(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a gateway whose wall clock can jump; nothing where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(dir=folder) as name:
        source, library, clock = (Path(name, file) for file in ("clock.c", "clock.so", "clock"))
        source.write_text(_JUMPING)
        clock.write_bytes(struct.pack("@l", 0))
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
        yield {"LD_PRELOAD": str(library), CLOCK: str(clock)}


async def _fill_the_disk(play: Play) -> None:
    filler = play.site.state / "filler"
    with play.broken():
        with suppress(OSError), filler.open("wb", buffering=0) as opened:
            while True:
                opened.write(bytes(4096))
        try:
            await rest(_WHILE)
        finally:
            filler.unlink()


def _jump(seconds: int) -> Part:
    async def act(play: Play) -> None:
        clock = Path(play.site.environ[CLOCK])
        with play.broken():
            _set(clock, seconds)
            try:
                await rest(_WHILE)
                begun = time.time() + seconds
                await play.site.until(
                    lambda: any(abs(one["time"] - begun) < 60 for one in play.site.entries().values()), "the clock has jumped"
                )
            finally:
                _set(clock, 0)

    way = "forward" if seconds > 0 else "back"
    return Part(f"the wall clock jumps {way} by a day, and after three seconds to what it was", act)


def _set(clock: Path, seconds: int) -> None:
    with clock.open("r+b", buffering=0) as opened:
        opened.write(struct.pack("@l", seconds))


async def _without_descriptors(play: Play, pids: list[int], port: int = 0) -> None:
    """None beyond those that they have. `port`: of theirs, where nobody new is answered meanwhile."""
    with play.broken():
        before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
        try:
            for pid, (_, hard) in before.items():
                used = set(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
                # The number that the next one would have.
                free = next(number for number in itertools.count() if str(number) not in used)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, hard))
            burst = asyncio.create_task(play.burst(_MANY))
            answered = bool(port) and await _all_answered(port)
            await rest(_WHILE)
        finally:
            for pid, limits in before.items():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        await burst
        if answered:
            raise SiteError(f"port {port} took a connection, for which there was no descriptor")


async def _all_answered(port: int) -> bool:
    """Whether each of many connections is answered within a second. They stay: a descriptor that somebody else gave back is taken then."""
    async with AsyncExitStack() as kept:
        for _ in range(_MANY):
            if not await _answers(port, kept):
                return False
    return True


async def _answers(port: int, kept: AsyncExitStack) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            kept.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            return bool(await reader.read(1))
    return False


async def _workers_without_descriptors(play: Play) -> None:
    await _without_descriptors(play, play.site.workers())


async def _control_without_descriptors(play: Play) -> None:
    await _without_descriptors(play, [play.site.pid], play.site.operator_port)


async def _envoy_without_descriptors(play: Play) -> None:
    await _without_descriptors(play, [play.site.envoy()], play.site.port)


DISK = {"disk-full": Part("the state folder's disk is full for three seconds", _fill_the_disk, log="cannot be written")}
CLOCKS = {"clock-forward": _jump(_DAY), "clock-back": _jump(-_DAY)}
DESCRIPTORS = {
    "workers-descriptors": Part("the workers get no more file descriptors for three seconds", _workers_without_descriptors, "500|503|cut"),
    "control-descriptors": Part("the control process gets none", _control_without_descriptors),
    "envoy-descriptors": Part("Envoy gets none", _envoy_without_descriptors, "no answer|cut|503|502"),
}
"""By name."""
