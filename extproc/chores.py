"""The process beside a worker that does its jobs, one after another: `python -m extproc.chores`, started by `beside`.

A job comes on standard input, and what became of it leaves on standard output: a length (4 bytes, network order) and MessagePack each;
after a job comes its body, in the same way. The process ends with its input, and with the worker.
"""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import struct
import sys
import traceback
from typing import BinaryIO

import msgspec

from extproc.answering import Retell, Retold
from extproc.aside import Failed, Refused
from extproc.attempt import Rewrite, Rewritten
from extproc.canonical import Digest, Fingerprint
from extproc.dialects.responses.kept import Refer, Referred, Resolve, Resolved
from extproc.errors import Reject
from extproc.estimate import Estimate, Estimated
from extproc.limits.estimate import Asked, Measure
from extproc.needs import Needed, Needing

Jobs = Rewrite | Retell | Fingerprint | Refer | Resolve | Estimate | Needing | Measure
Outcomes = Rewritten | Retold | Digest | Referred | Resolved | Estimated | Needed | Asked | Refused | Failed

LENGTH = struct.Struct(">I")
# Work for the many goes before work for a bulky one.
_NICENESS = 5
_PR_SET_PDEATHSIG = 1

_jobs = msgspec.msgpack.Decoder(Jobs)
_encode = msgspec.msgpack.Encoder().encode


def do(job: bytes, body: bytes) -> bytes:
    """One job, to its outcome."""
    outcome: Outcomes
    try:
        outcome = _jobs.decode(job).work(body)
        return _encode(outcome)
    except Reject as reject:
        fault = reject.fault
        outcome = Refused(fault.status, fault.code, fault.message, fault.param)
    except Exception:  # noqa: BLE001 - a bug of ours, which the worker tells and answers
        outcome = Failed(traceback.format_exc())
    return _encode(outcome)


def _piece(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    piece = source.read(size)
    return piece if len(piece) == size else None


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Does jobs until there are no more."""
    while (job := _piece(source)) is not None and (body := _piece(source)) is not None:
        outcome = do(job, body)
        sink.write(LENGTH.pack(len(outcome)))
        sink.write(outcome)
        sink.flush()


def main() -> None:
    """Entry of the process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # What is read and written has no cycles, and to look for some in millions of objects takes longer than the job.
    gc.disable()
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
