"""The section `envoy`: read from its files, and what its types cannot say: names that are taken, ways around the gate, what is not
merged.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import inspect
from msgspec.structs import replace

from extproc.config.checks import Report
from extproc.config.document import parse_document
from extproc.config.fragments import PLACES, Fragments, Piece, assembled, at, is_single, path_of, pieces, snake_case
from extproc.config.model import Config
from extproc.config.nearest import hint, quoted
from extproc.config.problem import Problems
from extproc.config.references import PLACEHOLDER, References
from extproc.config.walk import Walker, sound
from extproc.envoy import names

_OURS = ("headgate", names.cluster_name(""), names.CHAIN)
"""What our names of clusters and listeners begin with."""
_FILTERS = ("envoy.filters.http.router", "envoy.filters.http.upstream_codec", "envoy.filters.http.set_filter_state")
_ENDS = ("http.router.v3.Router", "http.upstream_codec.v3.UpstreamCodec")
"""Types of filters that end a chain, of which ours has one."""
_EXTENSIONS = ("stats_sinks", "access_logs")
_ACTIONS = ("route", "redirect", "direct_response", "non_forwarding_action", "filter_action")
_REFUSED = {
    "static_resources": "clusters and listeners go into `envoy.clusters` and `envoy.listeners`",
    "dynamic_resources": "what is told Envoy while it runs is ours; clusters and listeners go into `envoy.clusters` and `envoy.listeners`",
    "admin": "its admin interface is a socket by which we watch it",
    "node": "its name is ours",
    "stats_sinks": "they go into `envoy.stats_sinks`",
    "tracing": "it goes into `envoy.tracing`",
}
_EDGES = ("cluster", "cluster_name")
_SEVERAL = "clusters"
"""Of a weighted route, or of a cluster that is made of others (`envoy.clusters.aggregate`)."""
_CHOSEN = ("cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin")
_LOOKED_AT = frozenset((*_EDGES, *_CHOSEN, "weighted_clusters", "typed_config", "typed_per_filter_config", "config_discovery"))
"""Fields that are looked at here, wherever they stand."""


def read_fragments(config: Config, references: References, report: Report) -> Config:
    """The configuration with what stands in files in their place."""
    fragments = config.envoy
    if not isinstance(fragments, Fragments):
        return config
    found: list[Piece] = []
    for place in PLACES:
        value = at(fragments, place)
        if not sound(value):
            return replace(config, envoy=None)
        if isinstance(value, str):
            value = _parsed(value, place, references, report)
        if value:
            found += [Piece("", place, one, single=is_single(place)) for one in ([value] if is_single(place) else value)]
    return replace(config, envoy=assembled(found))


def _parsed(text: str, place: tuple[str, ...], references: References, report: Report) -> Any:
    """What a file holds; None if it is wrong, or not there for somebody who may do without."""
    path = path_of(place)
    if not report.referred(path):
        report.error(path, f"this is {'a section' if is_single(place) else 'a list'}, or `file:PATH` of a file that holds it")
    if text == PLACEHOLDER or not report.referred(path):
        return None
    problems = Problems()
    node = parse_document(text, problems)
    kind = inspect.type_info(dict[str, Any] if is_single(place) else list[dict[str, Any]])
    value = Walker(problems, references).walk(node, kind, path) if node is not None else None
    for problem in problems.listed():
        # Their places are of that file.
        told = report.error if problem.severity == "error" else report.warning
        told(path if problem.path == "$" else problem.path, f"line {problem.line} of the file: {problem.message}")
    return None if problems.errors else value


def check_fragments(config: Config, report: Report) -> None:
    """Whether they can be merged."""
    fragments = config.envoy
    if not isinstance(fragments, Fragments):
        return
    found = list(pieces(fragments))
    known = {str(piece.value.get("name")) for piece in found if piece.place == ("clusters",)}
    for piece in found:
        for path, message in (*_faults(piece), *_nowhere(piece, known)):
            report.error(path, message)
    for place in (("clusters",), ("listeners",)):
        _check_names([piece for piece in found if piece.place == place], report)
    _check_names([piece for piece in found if piece.place[0] == "http_filters"], report)
    for piece in found:
        if piece.place == ("routes",) and "route" in piece.value:
            report.warning(piece.path, "nobody is asked for a key at this route, and nothing there is counted: it leads past the gate")


def _check_names(found: list[Piece], report: Report) -> None:
    counts = Counter(name for piece in found if isinstance(name := piece.value.get("name"), str))
    for piece in found:
        name = piece.value.get("name")
        if isinstance(name, str) and counts[name] > 1:
            report.error(f"{piece.path}.name", f"{quoted(name)} stands here twice")


def _faults(piece: Piece) -> Iterator[tuple[str, str]]:
    match piece.place:
        case ("clusters",) | ("listeners",):
            yield from _name_faults(piece)
        case ("http_filters", _):
            yield from _filter_faults(piece)
        case ("routes",):
            yield from _route_faults(piece)
        case (name,) if name in _EXTENSIONS:
            yield from _type_faults(piece)
        case ("bootstrap",):
            yield from ((f"{piece.path}.{key}", f"this is not merged: {why}") for key, why in _REFUSED.items() if key in piece.value)
    for key in piece.value:
        if (right := snake_case(key)) != key and right not in _LOOKED_AT:
            yield f"{piece.path}.{key}", _other_form(right)
    yield from _ways(piece.value, piece.path)


def _nowhere(piece: Piece, known: set[str]) -> Iterator[tuple[str, str]]:
    """Clusters of a route that are not there: Envoy takes such a route, since ours lead nowhere, too, until the gate has judged."""
    action = piece.value.get("route") if piece.place == ("routes",) else None
    if not isinstance(action, dict):
        return
    weighted = action.get("weighted_clusters", {})
    several = weighted.get("clusters", ()) if isinstance(weighted, dict) else ()
    for name in (action.get("cluster"), *(one.get("name") for one in several if isinstance(one, dict))):
        if isinstance(name, str) and name not in known and not name.startswith(_OURS):
            yield f"{piece.path}.route", f"there is no cluster {quoted(name)} in `envoy.clusters`" + hint(name, known, "there are")


def _name_faults(piece: Piece) -> Iterator[tuple[str, str]]:
    name = piece.value.get("name")
    if not isinstance(name, str) or not name:
        yield piece.path, "the key `name` is missing"
    elif name.startswith(_OURS):
        yield f"{piece.path}.name", f"names that begin with {', '.join(map(quoted, _OURS))} are ours: take another one than {quoted(name)}"


def _type_faults(piece: Piece) -> Iterator[tuple[str, str]]:
    if not isinstance(piece.value.get("name"), str):
        yield piece.path, "the key `name` is missing"
    typed = piece.value.get("typed_config")
    if "config_discovery" not in piece.value and not (isinstance(typed, dict) and isinstance(typed.get("@type"), str)):
        yield piece.path, "a `typed_config` with its `@type` is missing, such as type.googleapis.com/envoy.extensions...."


def _filter_faults(piece: Piece) -> Iterator[tuple[str, str]]:
    yield from _type_faults(piece)
    name, typed = piece.value.get("name"), piece.value.get("typed_config")
    kind = typed.get("@type") if isinstance(typed, dict) else None
    if isinstance(name, str) and (name in _FILTERS or name.startswith("headgate")):
        yield f"{piece.path}.name", f"{quoted(name)} is the name of a filter of ours; take another one, such as {quoted('my.' + name)}"
    if isinstance(kind, str) and kind.endswith(_ENDS):
        yield f"{piece.path}.typed_config", "this filter ends a chain, and ours has one already"


def _route_faults(piece: Piece) -> Iterator[tuple[str, str]]:
    route = piece.value
    if "match" not in route or not any(action in route for action in _ACTIONS):
        yield piece.path, "a route has a `match`, and one of " + ", ".join(map(quoted, _ACTIONS[:3]))
    if isinstance(config := route.get("typed_per_filter_config"), dict):
        for name in config:
            if name.startswith("headgate"):
                yield f"{piece.path}.typed_per_filter_config", f"{quoted(name)} is a filter of ours, which these routes lead past"


def _ways(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Ways to a provider around the gate: with a key that Envoy itself sets, they would be open to everybody."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _ways(one, f"{path}[{number}]")
    if not isinstance(value, dict):
        return
    for key, one in value.items():
        here = f"{path}.{key}"
        if (right := snake_case(key)) != key and right in _LOOKED_AT:
            yield here, _other_form(right)
        elif key in _CHOSEN:
            yield here, "callers could choose a provider's cluster by that; name a `cluster`"
        elif key in _EDGES or key == _SEVERAL:
            yield from ((here, f"{quoted(name)} is a cluster of ours: nobody gets to it but by the gate") for name in _ours(one))
        yield from _ways(one, here)


def _ours(named: Any) -> Iterator[str]:
    """Names of clusters of ours: of one, or in a list of them, or of what has such a name."""
    for one in named if isinstance(named, list) else (named,):
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str) and name.startswith(_OURS):
            yield name


def _other_form(right: str) -> str:
    return f"Envoy takes this name, too, but what is checked and merged here goes by the other one: write `{right}`"
