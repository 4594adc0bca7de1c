"""Counts of what Python does: bytecodes, bytes, blocks. The same each time, whatever else the machine does."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple, ParamSpec

from extproc.drive import Waiting

P = ParamSpec("P")


def bytecodes(step: Callable[P, object], *given: P.args, **named: P.kwargs) -> int:
    """Bytecodes that are executed by a step, which may not wait; what is done in C counts nothing."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        elif event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outcome = step(*given, **named)
    finally:
        sys.settrace(before)
    assert not isinstance(outcome, Waiting)
    return count


class Allocated(NamedTuple):
    """Bytes of memory that a step takes."""

    peak: int
    kept: int
    """When it has ended."""


def allocated(step: Callable[P, object], *given: P.args, **named: P.kwargs) -> Allocated:
    """Bytes that a step allocates at most, and at its end with what it returns, beyond what there was."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        outcome = step(*given, **named)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not isinstance(outcome, Waiting)
    return Allocated(peak - before, after - before)


def blocks() -> int:
    """Blocks of memory that Python has in use."""
    gc.collect()
    return sys.getallocatedblocks()
