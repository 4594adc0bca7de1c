"""A worker's memory: how seldom Python looks for garbage in it, and what the C library gives back to the system."""

import ctypes
import gc

# Objects that live longer than others were made before the collector looks at them: those of about a thousand requests under way.
_YOUNG = 10_000

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


def give_back() -> None:
    """Gives pages in which nothing is left back to the system (malloc_trim(3)).

    Large bodies leave holes between what stays, such as kept answers; the library itself gives back only what lies above the last of these.
    It takes less than a millisecond.
    """
    if _trim is not None:
        _trim(0)
