"""What was found at an Envoy."""

from typing import Any, Literal

from msgspec import Struct

Level = Literal["breaks", "weakens"]
"""`breaks`: requests fail, answers are cut, or somebody gets by the gate. `weakens`: something that Headgate promises does not hold."""


class Finding(Struct, frozen=True):
    """One setting, or one thing that has happened, of which somebody should know."""

    level: Level
    where: str
    """The listener, the filter, the route or the cluster, by name."""
    what: str
    """What is set there."""
    why: str
    """What comes of it."""
    mend: dict[str, Any]
    """What should stand there, as Envoy's configuration has it; empty where nothing that is written down would mend it."""


def breaks(where: str, what: str, why: str, **mend: Any) -> Finding:
    """Of the worse kind."""
    return Finding("breaks", where, what, why, mend)


def weakens(where: str, what: str, why: str, **mend: Any) -> Finding:
    """Of the other."""
    return Finding("weakens", where, what, why, mend)
