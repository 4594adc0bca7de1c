"""What workers and the control process tell each other of how targets and keys stand. Durations, never times: no clocks need agree."""

from typing import Literal

import msgspec
from msgspec import Struct

from extproc.standing.cooling import Name

STANDING = "standing"
"""The push that carries all `Stand`s: a list. What it does not name stands well."""
HEARD = "standing.heard"
"""The notice that carries a list of `Heard`, in the order in which they were."""
PROBE = "standing.probe"
"""The call by which a worker asks for a probe of a `Name`. Answered with a lease's number, in digits; 0: somebody else has it; `NONE`."""
BACK = "standing.back"
"""The notice that a lease, of a `Name`, is not used: a `Lease`."""

NONE = -1
"""Number of a lease that nobody keeps: the breaker is closed, or the worker is alone and gave it itself."""

Shown = Literal["open", "half_open", "cooling", "limited"]
"""`cooling`: not to be asked until a time that it told. `limited`: it told none, so it is asked last for some seconds."""


class Stand(Struct, frozen=True, array_like=True):
    """How one stands that does not stand well. A target has a model and no key; a key no model, unless it cools down for one."""

    provider: str
    model: str
    key: str
    state: Shown
    left: float
    """Seconds for which it stays so, unless something happens. Of one that is open, 0 or less means half open."""
    ago: float
    """Seconds since it is so."""
    reason: str = ""
    """Why, for people."""
    open: float = 60.0
    """Seconds for which it stays open when it fails again."""

    @property
    def name(self) -> Name:
        """Whose standing it is."""
        return Name(self.provider, self.model, self.key)


class Heard(Struct, array_like=True):
    """One attempt, or many in a row that were answered. See `extproc.tried.Tried`."""

    provider: str
    model: str
    key: str
    status: int
    reason: str = ""
    resets: float = 0.0
    took: float = 0.0
    """Seconds since it began."""
    times: int = 1
    request: str = ""
    """See `Tried.request`."""
    mirror_of: str = ""
    """See `Tried.mirror_of`."""

    @property
    def name(self) -> Name:
        """The target that was asked."""
        return Name(self.provider, self.model)


class Lease(Struct, frozen=True, array_like=True):
    """A probe that somebody may make."""

    name: Name
    number: int


encode = msgspec.msgpack.Encoder().encode
decode_stands = msgspec.msgpack.Decoder(list[Stand]).decode
decode_heard = msgspec.msgpack.Decoder(list[Heard]).decode
decode_name = msgspec.msgpack.Decoder(Name).decode
decode_lease = msgspec.msgpack.Decoder(Lease).decode
