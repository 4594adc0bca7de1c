"""What an attempt tells the gate of the provider's answer, as dynamic metadata: usage, above all.

A client's dialect may have no field for a kind of token, and the gate sees only what the client sees; so the attempt says it aside.
The gate believes it only if it comes from the attempt that answered, since metadata of a failed attempt stays behind.
"""

import msgspec
from msgspec import Struct

from extproc.amount import Amount
from extproc.usage import Usage

USE_KEY = "told"
"""Where the adapter's metadata holds it, as JSON."""

TELL_EVERY = 0.25
"""How stale an account of a stream under way may be, in seconds: the adapter's to the gate, and the gate's in Envoy's hands."""


class Use(Struct, frozen=True, omit_defaults=True):
    """One attempt's account of its answer, so far."""

    cluster: str
    attempt: int
    provider: str = ""
    target: str = ""
    answered: str = ""
    usage: Usage | None = None
    text: int = 0
    """UTF-8 bytes of generated content seen."""
    finished: bool = False
    error: str = ""
    amount: Amount | None = None
    body: str = ""
    """Of an error that came as a head alone, which can be given none where the attempt runs: what its client is to be told."""
    rest: bytes = b""
    """Of a stream that trailers have ended: its last words, which the gate can still add, and the attempt cannot."""

    def encode(self) -> str:
        """As metadata carries it."""
        return msgspec.json.encode(self).decode()


def read_use(text: str, cluster: str, attempt: int) -> Use | None:
    """The account of the attempt that answered; None if there is none, or if it is another attempt's."""
    if not text:
        return None
    try:
        use = msgspec.json.decode(text, type=Use)
    except msgspec.DecodeError:
        return None
    return use if use.cluster == cluster and use.attempt == attempt else None
