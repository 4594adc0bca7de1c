"""What is known of the nodes of a fleet."""

from collections.abc import Iterator

from msgspec import Struct, field

_REMEMBERED = 1000
"""Nodes that are gone, the latest ones. In Kubernetes each pod has a name of its own."""


class Nack(Struct, frozen=True):
    """A node's refusal."""

    version: str
    kind: str
    why: str
    at: float


class Node(Struct):
    """One Envoy."""

    id: str
    cluster: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    """Of its metadata, the texts."""
    envoy: str = ""
    """Its version."""
    address: str = ""
    certificate: str = ""
    """The names in what it has shown."""
    protocol: str = ""
    since: float = 0.0
    """When it connected, or went: seconds since 1970."""
    connected: bool = False
    wanted: str = ""
    """The version that it is to have."""
    complete: str = ""
    """The version that it has."""
    taken: dict[str, str] = field(default_factory=dict)
    """By kind, the version of which it has taken the last part."""
    nack: Nack | None = None
    """Its last refusal, of what it is to have or had to have before."""


class Nodes:
    """All of them: those that are connected, and those that were lately."""

    def __init__(self) -> None:
        self._by_id: dict[str, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self._by_id.values())

    def connected(self) -> list[Node]:
        """Those with a stream."""
        return [node for node in self._by_id.values() if node.connected]

    def came(self, node: Node) -> Node:
        """It has a stream now. What it said on an earlier one is remembered."""
        if (known := self._by_id.get(node.id)) is not None:
            node.nack = known.nack
        self._by_id[node.id] = node
        return node

    def went(self, node: Node, now: float) -> None:
        """Its stream has ended."""
        node.connected, node.since = False, now
        gone = sorted((one for one in self._by_id.values() if not one.connected), key=lambda one: one.since)
        for one in gone[: max(0, len(gone) - _REMEMBERED)]:
            del self._by_id[one.id]
