"""What a node and the control plane say to each other, as plain values."""

from msgspec import Struct, field

from extproc.envoy.complaint import without_quotes
from extproc.xds.resources import Resource


class Ask(Struct, frozen=True, kw_only=True):
    """A request of the state-of-the-world protocol: which resources are wanted, and what became of the last answer."""

    kind: str
    names: tuple[str, ...] = ()
    """None, or `*`: all."""
    version: str = ""
    """Of the last answer that was taken."""
    nonce: str = ""
    """Of the answer that this is about; empty in a stream's first request of a kind."""
    error: str | None = None
    """Why it was refused (NACK)."""


class DeltaAsk(Struct, frozen=True, kw_only=True):
    """A request of the incremental protocol."""

    kind: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: dict[str, str] = field(default_factory=dict)
    """Versions that the node has kept from an earlier stream, by name."""
    nonce: str = ""
    error: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """An answer of either protocol."""

    kind: str
    version: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()
    """Names, incremental only: elsewhere, what is left out of an answer with everything is gone."""


class Taken(Struct, frozen=True):
    """A node has all of a version."""

    version: str


class Refused(Struct, frozen=True):
    """A node has refused a part of a version (NACK), and keeps what it had."""

    version: str
    kind: str
    why: str
    """In Envoy's words, without what it quotes of the configuration."""


News = Taken | Refused


_LONGEST = 500


def why(text: str) -> str:
    """What may be shown of a refusal."""
    return without_quotes(text, brief=True)[:_LONGEST] or "no reason given"
