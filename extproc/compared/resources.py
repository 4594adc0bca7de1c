"""What Envoy is told, resource by resource, and which of them two configurations have otherwise."""

import difflib
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from extproc.config.model import Aws, Config, Provider
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import to_yaml
from extproc.envoy.message import Plain
from extproc.envoy.places import Places

Resources = dict[tuple[str, str], Plain]
"""By kind and name."""
_CREDENTIALS = ("access_key", "secret_key", "session_token")
_WATCHED = ("cluster", "route", "virtual host")
"""Kinds that a running Envoy has from files that it watches."""
_STATIC = "headgate_"
"""Begins the names of clusters that stand in the bootstrap, but for one."""
_NOBODY = "headgate_no_address"


class Touched(Struct, frozen=True, omit_defaults=True):
    """One that differs."""

    change: str
    """`added`, `removed`, `changed`."""
    kind: str
    name: str
    diff: str = ""

    @property
    def watched(self) -> bool:
        """A running Envoy takes it by itself."""
        return self.kind in _WATCHED and (not self.name.startswith(_STATIC) or self.name == _NOBODY)


def resources(config: Config, places: Places, marks: dict[str, str]) -> Resources:
    """All that there are. `marks`: what stands in place of credentials that Envoy would be told, by these; it is added to."""
    bare = {name: replace(one, aws=_without(one, marks)) for name, one in config.providers.items()}
    document = compile_edge(replace(config, providers=bare), places)
    static = document.pop("static_resources")
    found: Resources = {("bootstrap", key): {key: value} for key, value in document.items()}
    for listener in static["listeners"]:
        for host in _hosts(listener):
            found |= {("route", route["name"]): route for route in host.pop("routes")}
            found["virtual host", host["name"]] = host
        found["listener", listener["name"]] = listener
    return found | {("cluster", cluster["name"]): cluster for cluster in static["clusters"]}


def _hosts(listener: Plain) -> Iterator[Plain]:
    for chain in listener["filter_chains"]:
        for one in chain["filters"]:
            yield from one["typed_config"].pop("route_config", {}).get("virtual_hosts", ())


def _without(provider: Provider, marks: dict[str, str]) -> Aws | None:
    aws = provider.aws
    if aws is None:
        return None
    said = {name: value for name in _CREDENTIALS if (value := getattr(aws, name)) is not None}
    return replace(aws, **{name: marks.setdefault(value, f"not-shown-{len(marks) + 1}") for name, value in said.items()})


def touched(before: Resources, after: Resources, *, full: bool) -> list[Touched]:
    """Those that differ, by kind. `full`: with the lines that do."""
    found: list[Touched] = []
    for kind, name in sorted({*before, *after}):
        old, new = before.get((kind, name)), after.get((kind, name))
        if old == new:
            continue
        change = "added" if old is None else "removed" if new is None else "changed"
        found.append(Touched(change, kind, name, _diff(f"{kind} {name}", old, new) if full else ""))
    return found


def _diff(name: str, old: Plain | None, new: Plain | None) -> str:
    before, after = (to_yaml(one).splitlines() if one is not None else [] for one in (old, new))
    return "\n".join(difflib.unified_diff(before, after, name, name, lineterm=""))
