"""Bulky bodies, and the work on them, which is done aside: in another process, so that the requests beside them go on.

What takes long of a body is to decode it, to make Python's objects of what is in it, and to write them again; that grows with its bytes
where they are few long texts, and with its items where they are short. A job is a plain value that knows its work; the worker has it
done elsewhere and waits, as it may wait for a request and for an answer that is no stream. See docs/decisions/0011.
"""

from typing import Protocol, TypeVar

from msgspec import Struct

from extproc.errors import Fault

_BULKY = 1024 * 1024
"""Bytes that take some ten milliseconds wherever they are: a picture in base64, one text."""
_ITEMS = 2000
"""Objects, or lists, that take as long, however short they are."""
_BEARABLE, _BEARABLE_ITEMS = 4 * _BULKY, 4 * _ITEMS
"""What may be done in the loop where there is no other place for it: a tenth of a second."""
SMALL = 64 * 1024
"""Bytes that hold no such number of objects worth the name, and are not looked at."""


def is_bulky(body: bytes) -> bool:
    """Whether a body's work would hold others up. Looks at bytes, and at none of a small one."""
    size = len(body)
    return size > SMALL and (size > _BULKY or _has_many(body, b"{") or _has_many(body, b"["))


def is_bearable(body: bytes) -> bool:
    """Whether a body's work may be done in the loop, where there is no other place for it."""
    return len(body) <= _BEARABLE and body.count(b"{") <= _BEARABLE_ITEMS


def _has_many(body: bytes, opening: bytes) -> bool:
    # To find one byte takes a fraction of what it takes to count them all (memchr; CPython 3.11 counts byte by byte).
    at = -1
    for _ in range(_ITEMS + 1):
        at = body.find(opening, at + 1)
        if at < 0:
            return False
    return True


T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Job(Protocol[T_co]):
    """What is to be done with a body. A Struct of plain values."""

    def work(self, body: bytes) -> T_co:
        """Does it. Raises `Reject` where the body is to blame."""


class Undone(Exception):
    """A job was not done: there was too much to do, it took too long, or the process that did it ended. The text is for a client."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(status, code, message)


class Aside(Protocol):
    """Where jobs are done."""

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        """Has it done. `lane`: for whom; all of them get the same share. Raises what the job raises, and `Undone`. Given up, it is not
        done.
        """


async def paid_for(aside: Aside, job: Job[T], body: bytes, lane: str = "") -> T:
    """Has work on an answer done, which has cost somebody something: what there is no room for aside is done here, if it does not take
    long. Raises what `Aside.work` raises.
    """
    try:
        return await aside.work(job, body, lane)
    except Undone:
        if not is_bearable(body):
            raise
        return job.work(body)


class Here:
    """Does them at once, in this process: for whoever has nobody to wait for him."""

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        """See `Aside`."""
        return job.work(body)


class Refused(Struct, frozen=True, tag=True):
    """A `Reject`, as a value."""

    status: int
    code: str
    message: str
    param: str | None = None


class Failed(Struct, frozen=True, tag=True):
    """Any other exception: a bug of ours."""

    trace: str
