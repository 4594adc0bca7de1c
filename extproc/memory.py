"""What memory this process takes, and what there is of it."""

import os
from pathlib import Path

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""The limit of a container: https://docs.kernel.org/admin-guide/cgroup-v2.html, and that of version 1."""
_OURS = 0.7
"""What of it workers may take: Envoy, the control process and the system need the rest."""
_STATM = "/proc/self/statm"
_MOST_BODIES = 1 << 30


def resident() -> int:
    """Bytes of memory that this process takes now; 0: not known (proc_pid_statm(5), which Linux alone has)."""
    try:
        file = os.open(_STATM, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(file, 64).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        os.close(file)


def available(limits: tuple[str, ...] = _CGROUPS) -> int:
    """Bytes of memory that this container has, or else this machine. `limits`: files that may say it."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in limits:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            return min(whole, int(text))
    return whole


def bound(said: int | None, workers: int) -> int:
    """Bytes that a worker may take, as the configuration says, or its share."""
    return said or int(available() * _OURS / workers)


def bodies(said: int | None, memory: int) -> int:
    """Bytes of bodies that it may hold, as the configuration says, or a quarter."""
    return said or min(_MOST_BODIES, memory // 4)
