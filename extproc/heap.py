"""A worker's memory: how seldom Python looks for garbage in it, and what the C library gives back to the system."""

import ctypes
import gc

# Objects that live longer than others were made before the collector looks at them: those of about a thousand requests under way.
_YOUNG = 10_000

# Bytes of a body that counts as large, and of all such bodies before it is looked what they have left.
_LARGE = 64 * 1024
_WORTH_IT = 4 * 1024 * 1024

# Only glibc has it, and only glibc needs it.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def spare_collector() -> None:
    """Has Python's cyclic garbage collector look at requests rarely, and never again at what stands by now.

    A request leaves no cycles behind, whichever way it ends (a test holds that); what is under way is all that is ever found, and the
    modules and the snapshot were gone through again and again: 6 % of a busy worker's CPU. What of a later snapshot or of somebody else's
    filter does hang in a cycle is still collected, ten thousand objects later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)


class Leftovers:
    """What large bodies leave behind: holes between what stays, such as kept answers, all over the heap.

    The library itself gives back only what lies above the last thing that stays, malloc_trim(3) any page in which nothing is left. But
    that looks at every hole, and holes remain when their pages are gone: with every other one of blocks of 1 to 9 KB freed, it takes
    0.3 to 1.2 ms of a heap of 8 MiB, 2.4 to 9 ms of 64 MiB, 15 to 63 ms of 256 MiB, in which nothing else is done. So it is for those
    who have had enough large bodies; small ones find room in the holes of those before them.
    """

    __slots__ = ("large",)

    def __init__(self) -> None:
        self.large = 0
        """Bytes of large bodies that have passed since it was last looked."""

    def passed(self, size: int) -> None:
        """So many bytes of a request's body and its answer's were held, and are held no longer."""
        if size >= _LARGE:
            self.large += size

    def give_back(self) -> None:
        """Gives pages in which nothing is left back to the system, if it is worth it."""
        if self.large >= _WORTH_IT and _trim is not None:
            self.large = 0
            _trim(0)
