"""The operator's own parts of Envoy's configuration, put where they belong (`config.fragments`)."""

from typing import Any

from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExtProcPerRoute
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import PerRouteConfig

from extproc.config.fragments import at, snake_case
from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.jwt import checked_by_envoy
from extproc.envoy.message import Plain, typed


def theirs(config: Config, *place: str) -> list[Plain]:
    """What stands at a place, of lists."""
    return [] if config.envoy is None else [dict(one) for one in at(config.envoy, place)]


def their_routes(config: Config) -> list[Plain]:
    """Routes of theirs, which lead past the gate: it would judge what is none of its business."""
    past: Plain = {names.GATE_FILTER: typed(ExtProcPerRoute(disabled=True))}
    if checked_by_envoy(config):
        past[names.TOKEN_FILTER] = typed(PerRouteConfig(disabled=True))
    return [
        {"name": f"own-{number}", **route, "typed_per_filter_config": {**route.get("typed_per_filter_config", {}), **past}}
        for number, route in enumerate(theirs(config, "routes"))
    ]


def manager_parts(config: Config) -> Plain:
    """Fields of an HTTP connection manager that are theirs alone."""
    tracing = config.envoy.tracing if config.envoy is not None else None
    return {"tracing": tracing} if isinstance(tracing, dict) else {}


def their_filters(config: Config) -> set[str]:
    """Names of filters at the callers' listener that are theirs."""
    return {one["name"] for place in ("before_gate", "after_gate") for one in theirs(config, "http_filters", place)}


def switched_on(config: Config) -> Plain:
    """A virtual host's `typed_per_filter_config` that switches on filters of theirs that are off elsewhere."""
    filters = [one for place in ("before_gate", "after_gate") for one in theirs(config, "http_filters", place)]
    return {one["name"]: typed(FilterConfig(), config={}) for one in filters if not one.get("disabled")}


def bootstrap_parts(config: Config) -> Plain:
    """Sections of a bootstrap that are theirs."""
    fragments = config.envoy
    if fragments is None:
        return {}
    sinks = theirs(config, "stats_sinks")
    more = fragments.bootstrap if isinstance(fragments.bootstrap, dict) else {}
    return {**more, **({"stats_sinks": sinks} if sinks else {})}


def overlaid(ours: Plain, more: Plain) -> Plain:
    """Ours with more: sections are joined, lists made longer. What we say stays as it is; of a list ours come last, as layers have to in
    order to count.
    """
    found = dict(ours)
    for key, value in more.items():
        known = found.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            found[key] = overlaid(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            found[key] = [*value, *known]
        elif known is None:
            found[key] = value
    return found


def clashes(ours: Any, more: Any, path: str) -> list[str]:
    """Paths of what both say, and cannot be joined."""
    if isinstance(ours, dict) and isinstance(more, dict):
        found = ((key, snake_case(key), value) for key, value in more.items())
        # A field that stands there twice, under both of its names, would be Envoy's to choose from.
        return [
            clash
            for key, right, value in found
            if right in ours
            for clash in ([f"{path}.{key}"] if right != key else clashes(ours[key], value, f"{path}.{key}"))
        ]
    return [] if (isinstance(ours, list) and isinstance(more, list)) or ours == more else [path]
