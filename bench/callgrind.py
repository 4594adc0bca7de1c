"""Instructions, counted by callgrind: figures that repeat within 1 %, whatever else the machine does.

What is counted runs in a process of its own, which puts a mark before and after: a function of libc that nothing else calls, and at which
callgrind writes its counters down.
"""

import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

_MARK = "getppid"


class Kind(NamedTuple):
    """What is counted twice, so that the difference is what it costs, without start-up or warming."""

    name: str
    few: Callable[[], object]
    many: Callable[[], object]
    more: int
    """Of what is counted, there is so much more in `many`."""


def mark(kinds: Iterable[Kind]) -> dict[str, int]:
    """Inside: does everything, with marks. By kind: how much more there is in the second count."""
    told = {}
    for kind in kinds:
        for step in (kind.few, kind.many):
            gc.collect()
            os.getppid()
            step()
            os.getppid()
        told[kind.name] = kind.more
    return told


def count(module: str, arguments: Sequence[str] = ()) -> dict[str, float]:
    """Runs a module, which prints as JSON what `mark` gave it. Thousands of instructions, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", f"--dump-before={_MARK}"]
        environ = {**os.environ, "PYTHONHASHSEED": "0"}
        command = [*valgrind, sys.executable, "-m", module, "--inside", *arguments]
        # A session of its own: Ctrl-C is for us, who end it.
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True, start_new_session=True)
        told = msgspec.json.decode(done.stdout, type=dict[str, int])
        dumps = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        totals = [int(found[1]) for path in dumps if (found := re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE))]
    # A mark ends what was before it: start-up, few, between, many, and so on.
    if len(totals) != 4 * len(told):
        raise RuntimeError(f"callgrind wrote {len(totals)} counts down instead of {4 * len(told)}: does it see {_MARK}() of this libc?")
    counted = totals[1::2]
    return {name: (counted[2 * at + 1] - counted[2 * at]) / more / 1000 for at, (name, more) in enumerate(told.items())}
