"""Processes that are kept alive, that end when they are told to, and that do not outlive their parent."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from extproc.control.children import Child, Handed

# Says hello in a file, then waits to be ended; with `deaf`, not by SIGTERM.
PROGRAM = """
import os, signal, sys
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, lambda *_: None)
print("started", os.getpid(), flush=True)
while True: signal.pause()
"""


class Children:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "child.log"
        self.made: list[Child] = []

    async def start(self, *command: str) -> Child:
        child = Child("child", command or (sys.executable, "-c", PROGRAM), log=str(self.log))
        self.made.append(child)
        await child.start()
        return child

    def started(self) -> list[int]:
        """Pids of all that said hello."""
        # A line that has no end yet is still being written.
        whole = self.log.read_text().rpartition("\n")[0]
        return [int(line.split()[1]) for line in whole.splitlines() if line.startswith("started")]

    async def until_started(self, number: int) -> None:
        await until(lambda: len(self.started()) >= number)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    made = Children(tmp_path)
    yield made
    for child in made.made:
        await child.stop(0)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_it_runs_and_stops(children: Children) -> None:
    child = await children.start()
    await children.until_started(1)
    assert children.started() == [child.pid]
    assert child.pid is not None and os.getsid(child.pid) == child.pid
    await child.stop(20)
    assert child.restarts == 0
    assert not lives(children.started()[0])
    child.send(signal.SIGTERM)
    await child.stop(20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_it_is_started_again(children: Children, number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    child = await children.start()
    await children.until_started(1)
    first = child.pid
    child.send(number)
    await children.until_started(2)
    assert child.restarts == 1
    await until(lambda: child.pid not in {None, first})
    assert f"killed by {number.name}" in caplog.text


async def test_one_that_ends_at_once_is_started_ever_more_slowly(children: Children, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    child = await children.start(sys.executable, "-c", "raise SystemExit(3)")
    await until(lambda: child.restarts >= 2)
    # 0.05 s, then 0.15 s.
    assert time.monotonic() - began > 0.2
    assert "exit code 3" in caplog.text
    await child.stop(20)
    restarts = child.restarts
    await asyncio.sleep(0)
    assert (child.restarts, child.pid) == (restarts, None)


async def test_one_that_has_just_ended_can_be_stopped(children: Children) -> None:
    for _ in range(10):
        child = await children.start(sys.executable, "-c", "")
        pid = child.pid
        assert pid is not None
        # Ended, and buried by somebody else than this loop, which is told of it only now.
        while lives(pid):
            time.sleep(0.001)
        time.sleep(0.005)
        child.send(signal.SIGTERM)
        await child.stop(20)


async def test_one_that_will_not_end_is_killed(children: Children) -> None:
    child = await children.start(sys.executable, "-c", PROGRAM, "deaf")
    await children.until_started(1)
    pid = child.pid
    await child.stop(0.05)
    assert pid is not None and not lives(pid)
    assert child.restarts == 0


async def test_one_that_takes_its_time_is_hurried(children: Children) -> None:
    child = await children.start(sys.executable, "-c", PROGRAM, "deaf")
    await children.until_started(1)
    pid, hurry = child.pid, asyncio.Event()
    stopping = asyncio.ensure_future(child.stop(60, hurry))
    await asyncio.sleep(0.1)
    # Nobody stands in for one that is stopped.
    child.relieve(60)
    await asyncio.sleep(0.1)
    assert child.pid == pid
    assert pid is not None and lives(pid) and not stopping.done()
    hurry.set()
    # SIGINT, which Python's programs end by.
    async with asyncio.timeout(20):
        await stopping
    assert not lives(pid)


async def test_another_one_beside_one_that_is_on_its_way_out(children: Children, caplog: pytest.LogCaptureFixture) -> None:
    child = await children.start(sys.executable, "-c", PROGRAM, "deaf")
    await children.until_started(1)
    old = child.pid
    assert old is not None
    child.relieve(2.0)
    await until(lambda: child.pid not in (None, old))
    assert lives(old)
    assert child.restarts == 1
    # It had its time.
    await until(lambda: not lives(old))
    await children.until_started(2)
    await asyncio.sleep(0.1)
    assert len(children.started()) == 2
    assert "starting it again" not in caplog.text


async def test_the_end_of_all_waits_for_one_that_is_on_its_way_out(children: Children) -> None:
    child = await children.start(sys.executable, "-c", PROGRAM, "deaf")
    await children.until_started(1)
    old = child.pid
    assert old is not None
    child.relieve(60)
    await children.until_started(2)
    began = time.monotonic()
    await child.stop(0.5)
    assert time.monotonic() - began > 0.4
    assert not lives(old)
    assert [pid for pid in children.started() if lives(pid)] == []


async def test_one_that_cannot_be_started_again_is_tried_until_it_can(children: Children, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o700)
    child = await children.start(str(program))
    await children.until_started(1)
    program.rename(tmp_path / "away")
    child.send(signal.SIGKILL)
    await until(lambda: child.restarts >= 2)
    assert child.pid is None
    (tmp_path / "away").rename(program)
    await children.until_started(2)


async def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Child("nothing", [str(tmp_path / "nothing")]).start()


async def never(pid: int) -> bool:
    return False


async def test_one_that_another_program_has_started(children: Children, caplog: pytest.LogCaptureFixture) -> None:
    # A process of ours, of which the next program knows no more than its id.
    running, leaving = (subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.DEVNULL) for _ in range(2))
    # Somebody else waits for them.
    running.returncode = leaving.returncode = 0
    children.log.touch()
    child = Child("child", [sys.executable, "-c", PROGRAM], log=str(children.log))
    children.made.append(child)
    child.adopt(Handed(running.pid, (leaving.pid,), restarts=3), 60)
    assert (child.pid, child.handed()) == (running.pid, Handed(running.pid, (leaving.pid,), 3))
    child.tell_leaving(signal.SIGTERM)
    async with asyncio.timeout(20):
        await child.left()
    assert child.pid == running.pid
    os.kill(running.pid, signal.SIGKILL)
    await children.until_started(1)
    # It may have spoken before the loop knows that it has begun.
    await until(lambda: child.pid is not None)
    assert (child.pid, child.restarts) == (children.started()[0], 4)
    assert f"child (pid {running.pid}) ended: killed by SIGKILL" in caplog.text
    assert leaving.pid not in (child.pid, *child.handed().leaving)


async def test_one_that_ended_while_nobody_looked(children: Children) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    children.log.touch()
    for handed in (Handed(ended.pid), Handed(None)):
        child = Child("child", [sys.executable, "-c", PROGRAM], log=str(children.log))
        children.made.append(child)
        child.adopt(handed, 60)
    await children.until_started(2)


async def test_a_successor(children: Children, caplog: pytest.LogCaptureFixture) -> None:
    child = await children.start()
    await children.until_started(1)
    old = child.pid
    assert old is not None

    async def started(pid: int) -> bool:
        # Until it is ready nothing has changed.
        assert child.pid == old
        return pid in children.started()

    assert await child.succeed(started, within=20, leave=None, grace=60)
    assert child.pid == children.started()[1]
    assert child.handed() == Handed(child.pid, (old,), 0)
    # It is not asked to end, so it has not.
    assert lives(old)
    second = children.started()[1]
    once = (sys.executable, "-c", PROGRAM, "deaf")

    async def third(pid: int) -> bool:
        return len(children.started()) == 3

    assert await child.succeed(third, within=20, leave=signal.SIGTERM, grace=60, once=once)
    await until(lambda: not lives(second))
    assert child.pid == children.started()[2]
    assert lives(old)
    assert "starting it again" not in caplog.text


@pytest.mark.parametrize(("program", "within"), [(PROGRAM, 0.1), ("raise SystemExit(3)", 20)])
async def test_a_successor_that_is_never_ready(children: Children, program: str, within: float) -> None:
    child = await children.start()
    await children.until_started(1)
    old = child.pid
    once = (sys.executable, "-c", program)
    assert not await child.succeed(never, within=within, leave=signal.SIGTERM, grace=60, once=once)
    assert old is not None
    assert child.pid == old
    assert lives(old)
    await child.left()
    assert child.handed() == Handed(old, (), 0)


async def test_a_successor_that_nobody_waits_for_any_more(children: Children) -> None:
    child = await children.start()
    await children.until_started(1)
    succeeding = asyncio.ensure_future(child.succeed(never, within=60, leave=None, grace=60))
    await children.until_started(2)
    succeeding.cancel()
    async with asyncio.timeout(20):
        await child.left()
    assert child.pid == children.started()[0]


_PARENT = """
import asyncio, sys
from extproc.control.children import Child

async def main():
    await Child("child", [sys.executable, "-c", sys.argv[1]], log=sys.argv[2]).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is promised")
async def test_it_does_not_outlive_its_parent(children: Children) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, PROGRAM, str(children.log)])
    try:
        await until(children.log.exists)
        await children.until_started(1)
        (pid,) = children.started()
        assert lives(pid)
    finally:
        parent.kill()
        parent.wait(20)
    try:
        await until(lambda: not lives(pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
