"""How long a client gives to the whole of its request, as it says by a header.

What SDKs say of their own patience (`x-stainless-timeout`, `x-stainless-read-timeout`) is not heeded: when that is over they hang up, which
ends the provider's request as well.
"""

import re

from extproc.errors import Reject

TIMEOUT = "x-headgate-timeout"
"""The header, in seconds."""
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")


def seconds(said: str, most: float) -> float:
    """What the header says, and no more than `most`. Raises `Reject` 400 where that is no time."""
    if not _SECONDS.fullmatch(said) or not (given := float(said)):
        message = f"{TIMEOUT} is {said[:64]!r}; it takes the seconds that the whole may last, such as 30 or 2.5."
        raise Reject(400, "invalid_timeout", message)
    return min(given, most)
