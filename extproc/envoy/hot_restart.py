"""Envoy's hot restart: a new Envoy takes the listening socket over from the one that runs, which finishes what it has.

https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/hot_restart. Tried on 1.40: nobody is refused, and an answer
under way goes on in the old process, which the new one ends `--parent-shutdown-time-s` after it has begun to serve. When a third one
starts, the second ends the first at once. Both have to be of the same hot restart version, and to see the same shared memory.
"""

import math
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from msgspec import Struct

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where shm_open(3) puts it
_BASES = 400_000_000
"""Base ids that there may be: Envoy multiplies them by ten, in 32 bits."""


class Place(Struct, frozen=True):
    """Whose turn it is, and where the two talk."""

    base_id: int
    epoch: int
    """0 for one that takes over from nobody; else that of the one before, plus 1."""
    socket: str
    """Prefix of the paths of its sockets: the default, an abstract socket, would let any user of the machine end Envoy."""
    drain: float
    """Seconds that the one before is given for what it has under way."""

    def arguments(self) -> list[str]:
        """Of the command line."""
        drain = math.ceil(self.drain)
        return [
            *("--base-id", str(self.base_id)),
            *("--restart-epoch", str(self.epoch)),
            *("--socket-path", self.socket),
            *("--socket-mode", "600"),
            *("--drain-time-s", str(max(1, drain))),
            # By then the one before has had its time.
            *("--parent-shutdown-time-s", str(drain + 1)),
            # Clients whose connection stays open are told with the next answer to make a new one.
            *("--drain-strategy", "immediate"),
            # Counts would jump when those of the one before are added, some time after the start.
            "--skip-hot-restart-parent-stats",
        ]


def base_id(run_dir: str) -> int | None:
    """One for the gateway of this folder; None where there is no shared memory to be had, without which there is no hot restart."""
    if sys.platform != "linux":
        return None
    try:
        with tempfile.TemporaryFile(dir=_SHARED_MEMORY):
            return zlib.crc32(run_dir.encode()) % _BASES
    except OSError:
        return None


def forget(base: int) -> None:
    """Removes the shared memory. No Envoy of that id runs any more, and none takes over from one."""
    (_SHARED_MEMORY / f"envoy_shared_memory_{base * 10}").unlink(missing_ok=True)


def version(binary: str) -> str:
    """The binary's hot restart version, such as `11.104`. Raises `OSError`, `subprocess.SubprocessError`."""
    command = [binary, "--hot-restart-version"]
    # 1.40 writes it to standard error.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10, check=True)
    return done.stdout.strip()
