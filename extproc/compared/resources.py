"""What Envoy is told, resource by resource, and which of them two configurations have otherwise."""

import difflib
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from extproc.compared.hidden import Marks, fragment_hidden, mark
from extproc.config.fragments import Fragments, assembled, pieces
from extproc.config.model import Aws, Config, Provider
from extproc.envoy.compile import compile_clusters, compile_edge, compile_listeners, compile_routes
from extproc.envoy.document import to_yaml
from extproc.envoy.message import Plain
from extproc.envoy.places import Places

Resources = dict[tuple[str, str], Plain]
"""By kind and name."""
_CREDENTIALS = ("access_key", "secret_key", "session_token")
_CARRIERS = ("authorization", "proxy-authorization")


class Told(Struct, frozen=True):
    """What a gateway tells its Envoy."""

    static: Resources
    """In the bootstrap: it counts from Envoy's start on."""
    watched: Resources
    """In files that it watches."""


class Touched(Struct, frozen=True, omit_defaults=True):
    """One that differs."""

    change: str
    """`added`, `removed`, `changed`."""
    kind: str
    name: str
    diff: str = ""
    watched: bool = True
    """A running Envoy takes it by itself."""


def resources(config: Config, places: Places, marks: Marks) -> Told:
    """All that there are. `marks`: what stands in place of credentials that Envoy is told, by these; it is added to."""
    bare = {name: replace(one, aws=_without(one, marks)) for name, one in config.providers.items()}
    config = replace(config, providers=bare, envoy=_veiled(config.envoy, marks))
    document = compile_edge(config, places, files=True)
    static = document.pop("static_resources")
    told: Resources = {("bootstrap", key): {key: value} for key, value in document.items()}
    told |= {("listener", one["name"]): one for one in static["listeners"]} | {("cluster", one["name"]): one for one in static["clusters"]}
    watched: Resources = {("cluster", one["name"]): one for one in compile_clusters(config, places)["resources"]}
    watched |= {("listener", one["name"]): _hidden(one, marks) for one in compile_listeners(config)["resources"]}
    for host in compile_routes(config)["resources"][0]["virtual_hosts"]:
        watched |= {("route", route["name"]): route for route in host.pop("routes")}
        watched["virtual host", host["name"]] = host
    return Told(told, watched)


def _veiled(fragments: Fragments | None, marks: Marks) -> Fragments | None:
    return assembled(replace(one, value=fragment_hidden(one.value, marks)) for one in pieces(fragments)) if fragments is not None else None


def _hidden(value: Any, marks: Marks) -> Any:
    """Without credentials in headers."""
    if isinstance(value, list):
        return [_hidden(one, marks) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("key") in _CARRIERS and isinstance(secret := value.get("value"), str):
        return {**value, "value": mark(secret, marks)}
    return {name: _hidden(one, marks) for name, one in value.items()}


def _without(provider: Provider, marks: Marks) -> Aws | None:
    aws = provider.aws
    if aws is None:
        return None
    said = {name: value for name in _CREDENTIALS if (value := getattr(aws, name)) is not None}
    return replace(aws, **{name: mark(value, marks) for name, value in said.items()})


def touched(before: Told, after: Told, *, full: bool) -> list[Touched]:
    """Those that differ, by kind. `full`: with the lines that do."""
    found: list[Touched] = []
    for olds, news, watched in ((before.static, after.static, False), (before.watched, after.watched, True)):
        for kind, name in {**olds, **news}:
            old, new = olds.get((kind, name)), news.get((kind, name))
            if old == new:
                continue
            change = "added" if old is None else "removed" if new is None else "changed"
            found.append(Touched(change, kind, name, _diff(f"{kind} {name}", old, new) if full else "", watched))
    return sorted(found, key=lambda one: (one.kind, one.name))


def _diff(name: str, old: Plain | None, new: Plain | None) -> str:
    before, after = (to_yaml(one).splitlines() if one is not None else [] for one in (old, new))
    return "\n".join(difflib.unified_diff(before, after, name, name, lineterm=""))
