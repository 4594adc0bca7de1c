"""What the gate tells of a request to those who are to answer it. The adapter gets it as dynamic metadata."""

from typing import Any

from msgspec import Struct

from extproc.ledger.record import called
from extproc.retrying import Retrying
from extproc.values import Kind, Target


class Call(Struct, frozen=True, omit_defaults=True):
    """What an attempt needs to know of the request beside its body. Holds no credential of the caller's."""

    id: str
    generation: str
    """The snapshot that the request began with."""
    dialect: str
    """The client's."""
    kind: Kind
    path: str
    """The client's, with its query, but for what looks like a credential there."""
    headers: dict[str, str]
    """The client's; only those that may cross to a provider at all. Empty where the gate itself makes the only attempt."""
    targets: tuple[Target, ...]
    """Of each attempt, in their order."""
    rules: dict[str, str] = {}
    """What the gate's rules set: it crosses whatever its name, to providers of any dialect."""
    model: str = ""
    """The name that the client asked for."""
    stream: bool = False
    include_usage: bool = False
    """The client itself asked for usage in the stream."""
    asks_usage: bool = False
    """See `Place.asks_usage`."""
    named: bool = False
    """The path names the model, and says whether the answer is to be streamed."""
    rest: str = ""
    """What follows the model's name in such a path."""
    strict: bool = False
    """The client would rather be refused than lose a field in translation."""
    says: dict[str, Any] = {}
    """See `Request.says`."""
    sdk: str = ""
    """See `Endpoint.sdk`."""
    betas: str = ""
    """See `Request.betas`. Empty where the gate's rules say what the header is."""
    gives: str = ""
    """See `Endpoint.gives`."""
    retrying: Retrying | None = None
    """See `Request.retrying`."""
    keys: tuple[str, ...] = ()
    """Names of the keys that the attempts are to take, see `pool.plan`. Empty where no provider has several."""
    slot: str = ""
    """See `Request.slot`; in hexadecimal digits."""
    lane: str = ""
    """Whose turn bulky bodies wait for, see `Identity.lane`. Empty where the gate itself makes the only attempt."""
    mirror_of: str = ""
    """See `Record.mirror_of`."""

    @property
    def called(self) -> str:
        """See `Record.called`."""
        return called(self.id, self.mirror_of)

    @property
    def forces_usage(self) -> bool:
        """The stream tells its usage only because we ask for it, and the client is not to see that."""
        return self.stream and self.asks_usage and not self.include_usage
