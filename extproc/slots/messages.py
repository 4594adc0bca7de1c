"""What workers and the control process say of slots over the link, as msgpack arrays.

Methods: `slots.take` with `Take`, answered by `Told`; `slots.hold`, `slots.leave`, `slots.release`, `slots.abandon` and
`slots.overloaded` are notices. The
worker makes the ticket, so that it can give up a call whose answer it never saw.
"""

import msgspec
from msgspec import Struct

from extproc.slots.slot import Choice, Line

TAKE, HOLD, LEAVE, RELEASE, OVERLOADED = "slots.take", "slots.hold", "slots.leave", "slots.release", "slots.overloaded"
ABANDON = "slots.abandon"
"""It is given back, unless another worker holds it by now."""


class Take(Struct, array_like=True, frozen=True):
    """A slot is wanted."""

    ticket: bytes
    choices: tuple[Choice, ...]
    line: Line


class Told(Struct, array_like=True, frozen=True):
    """What came of it."""

    choice: int
    """Which one is held; -1: none."""
    scope: str = ""
    again: float = 0.0
    waited: bool = False


class Hold(Struct, array_like=True, frozen=True):
    """What a worker holds, which the control process has forgotten, or never knew."""

    ticket: bytes
    choice: Choice


encode = msgspec.msgpack.Encoder().encode
read_take = msgspec.msgpack.Decoder(Take).decode
read_told = msgspec.msgpack.Decoder(Told).decode
read_hold = msgspec.msgpack.Decoder(Hold).decode
