"""The section `envoy`: what the operator adds to Envoy's configuration, in Envoy's own words, at the places that are named here."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from extproc.config.section import Section

File = Annotated[str, Meta(description="`file:PATH`: a YAML or JSON file that holds it")]
Parts = tuple[dict[str, Any], ...] | File


class HttpFilters(Section, frozen=True):
    """Filters of HTTP, each with its `name` and `typed_config`."""

    before_gate: Parts = ()
    """Before the gate: they see what callers send, and nobody has been let in yet."""
    after_gate: Parts = ()
    """After the gate, once a request: they see what goes to a provider where there is one target."""
    upstream: Parts = ()
    """Once an attempt, after the adapter and before signatures and injected keys: they see a provider's credential."""


class Fragments(Section, frozen=True):
    """Parts of Envoy's configuration: each is what Envoy's documentation has under that name, as YAML here or as `file:PATH`."""

    clusters: Parts = ()
    """Clusters."""
    listeners: Parts = ()
    """Listeners beside ours."""
    http_filters: HttpFilters = HttpFilters()
    """Filters of HTTP at the callers' listener."""
    routes: Parts = ()
    """Routes at the callers' listener that lead to clusters of yours, past the gate: nobody is asked for a key there, and nothing is
    counted."""
    access_logs: Parts = ()
    """Access loggers of the callers' listener."""
    stats_sinks: Parts = ()
    """Where Envoy sends its statistics."""
    tracing: dict[str, Any] | File | None = None
    """Tracing of the callers' HTTP connection manager."""
    bootstrap: dict[str, Any] | File | None = None
    """Other top-level sections of Envoy's bootstrap, such as `stats_config`. Lists of those that we have as well are made longer."""


class Piece(Struct, frozen=True):
    """One of them."""

    path: str
    """Like `$.envoy.clusters[0]`."""
    place: tuple[str, ...]
    """Names of the fields that lead to it."""
    value: dict[str, Any]
    single: bool = False
    """It stands there alone, in no list."""


_LISTS = (
    ("clusters",), ("stats_sinks",), ("listeners",), ("access_logs",), ("http_filters", "before_gate"), ("http_filters", "after_gate"),
    ("http_filters", "upstream"), ("routes",),
)  # fmt: skip
_SINGLE = (("bootstrap",), ("tracing",))
PLACES = (("clusters",), *_SINGLE, *_LISTS[1:])
"""All that there are, those first that others may refer to."""


def at(fragments: Fragments, place: tuple[str, ...]) -> Any:
    """What stands at a place."""
    found: Any = fragments
    for name in place:
        found = getattr(found, name)
    return found


def path_of(place: tuple[str, ...]) -> str:
    """The path of a place in the configuration."""
    return ".".join(("$.envoy", *place))


def is_single(place: tuple[str, ...]) -> bool:
    """Whether one thing stands there, and no list."""
    return place in _SINGLE


def pieces(fragments: Fragments | None) -> Iterator[Piece]:
    """All that have been read, in the order of `PLACES`."""
    for place in PLACES if fragments is not None else ():
        assert fragments is not None
        found = at(fragments, place)
        if is_single(place):
            if type(found) is dict:
                yield Piece(path_of(place), place, found, single=True)
        elif not isinstance(found, str):
            yield from (Piece(f"{path_of(place)}[{number}]", place, one) for number, one in enumerate(found))


def bound(fragments: Fragments | None) -> Iterator[tuple[str, str, int]]:
    """The TCP ports of listeners: the path of each, its address and its port."""
    for piece in pieces(fragments):
        address = piece.value.get("address") if piece.place == ("listeners",) else None
        socket = address.get("socket_address") if isinstance(address, dict) else None
        match socket:
            case {"protocol": str() as protocol} if protocol != "TCP":
                pass
            case {"address": str() as host, "port_value": int() as port}:
                yield piece.path, host, port


def snake_case(key: str) -> str:
    """A field's name as Envoy's documentation has it: in JSON it may be written `likeThis` as well."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), key)


def assembled(found: Iterable[Piece]) -> Fragments:
    """The section that holds these pieces and no others."""
    values: dict[str, Any] = {}
    for piece in found:
        *before, last = piece.place
        section = values
        for name in before:
            section = section.setdefault(name, {})
        if piece.single:
            section[last] = piece.value
        else:
            section.setdefault(last, []).append(piece.value)
    return msgspec.convert(values, Fragments)
