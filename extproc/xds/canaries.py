"""Which nodes are told a new version before the others."""

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from extproc.config.fleet import Canary
from extproc.xds.nodes import Node


class Canaries:
    """Chosen by name and by metadata; by share, it is always the same nodes, and at least one."""

    def __init__(self, settings: Canary | None) -> None:
        self._settings = settings
        self._picked = ""
        """Stands in where the share of the nodes is none of them."""

    @property
    def wanted(self) -> bool:
        """False: all nodes are told at once."""
        return self._settings is not None

    def has(self, node: Node) -> bool:
        """Whether it is one."""
        settings = self._settings
        if settings is None:
            return False
        if node.id == self._picked or any(fnmatchcase(node.id, pattern) for pattern in settings.nodes):
            return True
        if settings.metadata and all(node.metadata.get(key) == value for key, value in settings.metadata.items()):
            return True
        return _place(node.id) < settings.share

    def pick(self, nodes: Iterable[Node]) -> list[Node]:
        """Those among `nodes`, which are connected."""
        nodes = list(nodes)
        found = [node for node in nodes if self.has(node)]
        if not found and nodes and self._settings is not None and self._settings.share:
            self._picked = min(nodes, key=lambda node: _place(node.id)).id
            found = [node for node in nodes if node.id == self._picked]
        return found


def _place(id: str) -> float:
    """A number from 0 to 1, the same for a node wherever it is asked for."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:6]) / 2**48
