"""A gateway beside one application: settings that whoever starts it says instead of the file, which others start as well."""

import re
from collections.abc import Iterator
from collections.abc import Mapping as Names

from msgspec import Struct
from msgspec.structs import replace

from extproc.config.document import Entry, Mapping, Node, Scalar
from extproc.config.model import Config
from extproc.config.problem import Mark

LOOPBACK = "127.0.0.1"
_OTHERS = ("ext_proc", "fleet")
"""Sections that are for Envoys elsewhere."""
_PLACE = re.compile(r"(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")


class Sidecar(Struct, frozen=True):
    """Where a gateway beside one application stands."""

    port: int
    """Requests are taken there, at 127.0.0.1 and nowhere else."""
    admin: tuple[str, int] | None = None
    """Address and port of the operator's port, unless it is where the file says."""
    drain_delay: float | None = None
    """Seconds that it takes requests after it has been asked to end, unless it is what the file says."""

    def faults(self, config: Config) -> Iterator[str]:
        """What others' gateways may say, and this one must not."""
        if config.callers.mesh is not None and config.callers.mesh.trusted:
            yield (
                "$.callers.mesh.trusted: before a sidecar there is no proxy of a mesh that takes off what callers say of themselves, and "
                "its application could be anybody: give it a configuration without this"
            )

    def over(self, root: Mapping) -> Mapping:
        """The document with it. Whole sections: what a listener for others has - TLS, proxies before it - is none of this one's.
        An admin API would change what is gone with the application; at the ports of `ext_proc` others would be told providers' keys.
        """
        said = {"listener": {"address": LOOPBACK, "port": str(self.port)}, "api": {"address": "off"}}
        if self.admin is not None:
            said["admin"] = {"address": self.admin[0], "port": str(self.admin[1])}
        entries = [_entry(name, _section(values)) for name, values in said.items()]
        if self.drain_delay is not None:
            entries.append(_entry("drain_delay", _scalar(str(self.drain_delay))))
        left = root.without(*(entry.key.text for entry in entries), *_OTHERS)
        return replace(left, entries=(*left.entries, *entries), nodes=left.nodes + sum(entry.value.nodes for entry in entries))


def place(text: str) -> tuple[str, int]:
    """`127.0.0.1:9180`, `[::]:9180`. Raises `ValueError`."""
    found = _PLACE.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError(f"{text} is no address with a port, such as 127.0.0.1:9180 or [::1]:9180")
    return found["address"].strip("[]"), int(found["port"])


def _section(values: Names[str, str]) -> Mapping:
    return Mapping(Mark(), tuple(_entry(name, _scalar(text)) for name, text in values.items()), len(values) + 1)


def _entry(name: str, value: Node) -> Entry:
    return Entry(_scalar(name), value)


def _scalar(text: str) -> Scalar:
    return Scalar(Mark(), text, plain=True)
