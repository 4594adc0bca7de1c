"""What processes use: CPU time of every process of a system, by part, and memory as PSS. Linux only."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_CPUCLOCK_SCHED = 2
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_ANONYMOUS = re.compile(rb"^Anonymous:\s+(\d+) kB", re.MULTILINE)

Parts = Mapping[str, Sequence[int]]
"""Processes by the name of their part; see `Target.pids`."""
Sample = dict[str, dict[int, float]]
"""Seconds of CPU of each process, by part."""


class GoneError(RuntimeError):
    """A process of a system ended while it was measured."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads included, also those that have ended; without its children's.

    The same that /proc/PID/stat tells in ticks of 10 ms, in nanoseconds: the kernel's clock of that process (clock_getcpuclockid(3)).
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        raise GoneError(f"process {pid} has ended") from None


def parents(proc: Path = Path("/proc")) -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parent((entry / "stat").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended between the two
    return found


def parent(stat: str) -> int:
    """The parent's process id in a line of /proc/PID/stat. The command's name, in brackets, may hold anything, brackets too."""
    return int(stat.rpartition(") ")[2].split()[1])


def members(parts: Parts, tree: Mapping[int, int]) -> dict[str, list[int]]:
    """All processes of each part, children of the named ones included. `tree`: each process's parent."""
    owner = {pid: name for name, pids in parts.items() for pid in pids}
    found: dict[str, list[int]] = {name: list(pids) for name, pids in parts.items()}
    for pid in tree:
        if pid in owner:
            continue
        above = tree[pid]
        while above not in owner and above in tree:
            above = tree[above]
        if above in owner:
            found[owner[above]].append(pid)
    return found


def sample(parts: Parts) -> Sample:
    """CPU times now. Raises `GoneError` if a named process has ended."""
    if not parts:
        return {}
    found: Sample = {}
    for name, pids in members(parts, parents()).items():
        found[name] = {}
        for pid in pids:
            try:
                found[name][pid] = cpu_seconds(pid)
            except GoneError:
                if pid in parts[name]:
                    raise GoneError(f"process {pid} of {name} has ended") from None
    return found


def used(before: Sample, after: Sample) -> dict[str, float]:
    """Seconds of CPU between two samples, by part. A process that was born in between counts from its birth."""
    return {name: sum(now - before.get(name, {}).get(pid, 0.0) for pid, now in pids.items()) for name, pids in after.items()}


def busy(stat: Path = Path("/proc/stat")) -> float:
    """Seconds of CPU that the whole machine has used since it started, by anybody; time stolen by a hypervisor counts, too."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> int:
    """A process's memory in bytes, what it shares with others counted by its share."""
    return pss_of(_rollup(pid))


def anonymous(pid: int) -> int:
    """Bytes that a process has asked for itself: heap and stacks, no file. What it has of files changes with who else has them."""
    return _field(_ANONYMOUS, _rollup(pid))


def _rollup(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"process {pid} has ended") from None


def pss_of(rollup: bytes) -> int:
    """Bytes of PSS that the text of an `smaps_rollup` tells."""
    return _field(_PSS, rollup)


def _field(pattern: re.Pattern[bytes], rollup: bytes) -> int:
    found = pattern.search(rollup)
    if found is None:
        raise ValueError("not what smaps_rollup says")
    return int(found[1]) * 1024


def memory(parts: Parts) -> dict[str, int]:
    """PSS of each part, children included."""
    return {name: sum(map(pss, pids)) for name, pids in members(parts, parents() if parts else {}).items()}


def mapped(pid: int, suffix: str) -> int:
    """Bytes of the files with this suffix that a process maps, touched or not."""
    try:
        return mapped_in(Path(f"/proc/{pid}/maps").read_text(errors="replace"), suffix)
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"process {pid} has ended") from None


def mapped_in(maps: str, suffix: str) -> int:
    """The same in the text of a /proc/PID/maps: address, permissions, offset, device, inode, path."""
    total = 0
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].endswith(suffix):
            begin, end = (int(address, 16) for address in fields[0].split("-"))
            total += end - begin
    return total


def children(pid: int) -> dict[int, str]:
    """The direct children of a process and their command lines."""
    found = {}
    for child, above in parents().items():
        if above == pid:
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found
