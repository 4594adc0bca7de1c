"""Ids of identities: a prefix that says what it is, and 20 characters of Crockford's base32 (https://www.crockford.com/base32.html).

The first 48 of the 100 bits are milliseconds since 1970, the others are random: who sorts by id has things in the order in which they were
made, which is what cursors and indexes want. What `gateway.yaml` declares has its own name instead of the 20 characters. The two cannot be
taken for each other: the first character of a time is a digit until the year 10889, and a name begins with a letter.
"""

import re
import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

Kind = Literal["organization", "project", "team", "user", "service_account", "membership", "key", "plan", "audit"]

PREFIXES: dict[Kind, str] = {
    "organization": "org",
    "project": "proj",
    "team": "team",
    "user": "user",
    "service_account": "sa",
    "membership": "mem",
    "key": "key",
    "plan": "plan",
    "audit": "audit",
}

_KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 20
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_SHIFTS = range(5 * (_LENGTH - 2), -1, -10)
_RANDOM = 52
_MADE = re.compile(rf"[0-9][{_ALPHABET}]{{{_LENGTH - 1}}}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Ids:
    """Makes ids. Each is greater than the one before, also within a millisecond, and when the clock is set back. Safe for threads."""

    def __init__(self, clock: Callable[[], int] = time.time_ns, draw: Callable[[int], int] = secrets.randbits) -> None:
        """`clock`: nanoseconds since 1970. `draw`: so many random bits."""
        self._clock = clock
        self._draw = draw
        self._last = 0
        self._lock = Lock()

    def make(self, kind: Kind) -> str:
        """An id that nobody had before."""
        with self._lock:
            number = self._clock() // 1_000_000 << _RANDOM | self._draw(_RANDOM)
            if number <= self._last:
                # A step of 32 random bits: who knows one id of a moment cannot guess the next. 2^20 of them fit into a millisecond.
                number = self._last + 1 + self._draw(32)
            self._last = number
        return f"{PREFIXES[kind]}_{_written(number)}"


def _written(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def declared(kind: Kind, name: str) -> str:
    """The id of what is declared under a name. Raises `ValueError` for what is no such name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for what is declared: lower-case letters, digits and `-`, 63 at most, a letter first")
    return f"{PREFIXES[kind]}_{name}"


def kind_of(id: str) -> Kind | None:
    """What an id is of, by its form alone; None if it is no id."""
    prefix, _, rest = id.partition("_")
    kind = _KINDS.get(prefix)
    return kind if kind is not None and (_MADE.fullmatch(rest) or _NAME.fullmatch(rest)) else None


def is_declared(id: str) -> bool:
    """Whether `gateway.yaml` gave it its name."""
    return bool(_NAME.fullmatch(id.partition("_")[2]))
