"""What processes used: of this one and its children, and from /proc's own words."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import procs


def test_cpu_is_what_the_kernel_counts() -> None:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    before, measured, after = time.process_time(), procs.cpu_seconds(os.getpid()), time.process_time()
    assert before <= measured <= after
    ticks = sum(map(int, Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    assert measured <= ticks + 0.05
    assert ticks <= procs.cpu_seconds(os.getpid()) + 0.05


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for ask in (procs.cpu_seconds, procs.pss):
        with pytest.raises(procs.GoneError, match=str(child.pid)):
            ask(child.pid)
    with pytest.raises(procs.GoneError, match="of workers has ended"):
        procs.sample({"workers": [child.pid]})


@pytest.mark.parametrize(
    ("stat", "expected"),
    [("12 (python) S 7 12 12 0 -1", 7), ("12 (a) S 3 (b) R 8 1 1", 8), ("1 (tmux: server) S 0 1", 0)],
)
def test_a_parent_in_proc(stat: str, expected: int) -> None:
    assert procs.parent(stat) == expected


def test_children_belong_to_the_nearest_part() -> None:
    tree = {1: 0, 10: 1, 11: 10, 12: 11, 13: 10, 14: 13, 20: 1, 21: 20}
    parts = {"control": [10], "workers": [11]}
    found = {name: sorted(pids) for name, pids in procs.members(parts, tree).items()}
    assert found == {"control": [10, 13, 14], "workers": [11, 12]}


def test_used_counts_the_newborn_and_not_what_was_before() -> None:
    before = {"workers": {1: 5.0, 2: 1.0}}
    after = {"workers": {1: 5.5, 3: 0.25}, "envoy": {4: 2.0}}
    assert procs.used(before, after) == {"workers": 0.75, "envoy": 2.0}


def test_memory_of_this_process() -> None:
    used = procs.pss(os.getpid())
    assert 1_000_000 < used <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert procs.memory({"all": [os.getpid()]})["all"] >= 1_000_000
    assert procs.memory({}) == {}


def test_pss_in_proc() -> None:
    rollup = b"55e-7ff ---p 0 00:00 0  [rollup]\nRss:  9000 kB\nPss:    4321 kB\nPss_Dirty:  17 kB\n"
    assert procs.pss_of(rollup) == 4321 * 1024
    with pytest.raises(ValueError, match="smaps_rollup"):
        procs.pss_of(b"Rss: 1 kB\n")


def test_the_machine_is_busy_for_as_long_as_this_process_was() -> None:
    assert procs.busy() >= time.process_time() * 0.5


def test_busy_counts_everything_but_idling(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9999 8888 4 5 1 50 60\ncpu0 1 1 1 1\n")
    assert procs.busy(stat) == 160 / os.sysconf("SC_CLK_TCK")


def test_mapped_files_in_proc() -> None:
    maps = (
        "7f00-7f10 r--s 00000000 08:01 77  /state/with a space/1.keys\n"
        "7f20-7f21 r--s 00000000 08:01 78  /state/2.keys\n7f30-7fff rw-p 00000000 00:00 0 \n"
        "7fff-8fff r-xp 00000000 08:01 9  /usr/lib/libc.so\n"
    )
    assert procs.mapped_in(maps, ".keys") == 0x11
    assert procs.mapped(os.getpid(), ".nothing") == 0


def test_children_and_what_they_run() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input('')", "bench-child"], stdin=subprocess.PIPE)
    try:
        assert "bench-child" in procs.children(os.getpid())[child.pid]
    finally:
        child.communicate(b"\n")
