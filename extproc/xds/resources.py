"""Resources, and versions: all that an Envoy is to have. Both are named by what is in them, so nothing counts as changed that is not."""

import hashlib
from collections.abc import Iterable, Mapping

from msgspec import Struct

from extproc.xds.kinds import ORDER

_LENGTH = 16
"""Hex digits: 64 bits are enough to tell versions of one configuration, and short enough for people."""


class Resource(Struct, frozen=True):
    """One cluster, listener, ..."""

    name: str
    version: str
    body: bytes
    """The message as it goes over the wire. May hold secrets."""


class Version(Struct, frozen=True):
    """Everything, by kind and name."""

    id: str
    resources: dict[str, dict[str, Resource]]

    def of(self, kind: str) -> Mapping[str, Resource]:
        """Those of one kind."""
        return self.resources.get(kind, {})


def resource(name: str, body: bytes) -> Resource:
    """With its version."""
    return Resource(name, hashlib.sha256(body).hexdigest()[:_LENGTH], body)


def version(resources: Mapping[str, Iterable[Resource]]) -> Version:
    """By kind, put in order."""
    ordered = {kind: {one.name: one for one in sorted(resources.get(kind, ()), key=lambda one: one.name)} for kind in ORDER}
    whole = hashlib.sha256()
    for kind, named in ordered.items():
        whole.update(f"{kind} {digest(named)}\n".encode())
    return Version(whole.hexdigest()[:_LENGTH], ordered)


def digest(named: Mapping[str, Resource]) -> str:
    """Of a set of resources of one kind: the same if and only if they are."""
    lines = (f"{len(name)} {name} {named[name].version}\n" for name in sorted(named))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:_LENGTH]
