"""What workers and the control process tell each other of turns.

Methods: `turns.chain` with `[owner, id, most]`, answered by a `Chain`; `turns.put` with `[owner, turn, keep]`, which nobody answers;
`turns.delete` with `[owner, id]`, answered by a truth.
"""

import msgspec
from msgspec import Struct

from extproc.turns.turn import Chain, Keep, Turn

CHAIN, PUT, DELETE = "turns.chain", "turns.put", "turns.delete"


class Wanted(Struct, array_like=True):
    """A turn and those before it."""

    owner: str
    id: str
    most: int


class Made(Struct, array_like=True):
    """A turn to be kept."""

    owner: str
    turn: Turn
    keep: Keep


class Unwanted(Struct, array_like=True):
    """A turn to be forgotten."""

    owner: str
    id: str


encode = msgspec.msgpack.Encoder().encode
read_wanted = msgspec.msgpack.Decoder(Wanted).decode
read_made = msgspec.msgpack.Decoder(Made).decode
read_unwanted = msgspec.msgpack.Decoder(Unwanted).decode
read_chain = msgspec.msgpack.Decoder(Chain).decode
read_truth = msgspec.msgpack.Decoder(bool).decode
