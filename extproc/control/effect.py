"""What of a new configuration takes effect where, and when: in files that Envoy watches, in its bootstrap, in processes as they start."""

from extproc.config.fragments import PLACES, at, path_of
from extproc.config.model import Config
from extproc.envoy.buffers import buffered
from extproc.envoy.silences import silences

# Sections that count from the start on, until an upgrade.
AT_START = (
    "listener", "admin", "workers", "transport", "ext_proc", "drain", "drain_delay", "envoy_threads", "state", "ledger", "access_log",
)  # fmt: skip

_WATCHED = (("clusters",), ("listeners",), ("routes",))
"""What the operator adds to Envoy's watched files, of all that he adds."""

_TOLD = ("listener", "envoy_threads", "access_log")
"""Sections that are Envoy's alone: in a fleet they are none of a start's here."""

_TOLD_PLACES = (
    ("tracing",),
    ("access_logs",),
    ("http_filters", "before_gate"),
    ("http_filters", "after_gate"),
    ("http_filters", "upstream"),
)

_MIRROR = "`mirror`, which no model had before or none has now,"

IN_BOOTSTRAP = ("workers", "ext_proc", "envoy.bootstrap", "envoy.stats_sinks", "listener.tls.sds", "limits.concurrent_requests", _MIRROR)
"""What `needs_restart` says of the bootstrap of a fleet's node: no control plane tells that."""


def _sds(config: Config) -> object:
    return config.listener.tls and config.listener.tls.sds


def _in_listener(config: Config) -> object:
    callers = config.callers
    return config.certified, callers.mesh is not None and callers.mesh.trusted, [one for one in callers.jwt if one.verify != "gateway"]


def _said(config: Config, place: tuple[str, ...]) -> object:
    return (config.envoy and at(config.envoy, place)) or None


def known_to_envoy(config: Config) -> object:
    """What its watched files say of a configuration: whatever else changes is the workers' business alone."""
    return config.providers, config.egress, config.envoy, config.limits, silences(config), config.api.listener


def needs_restart(old: Config, new: Config, *, told: bool = False) -> list[str]:
    """What of `new` takes effect at the next start, or with an upgrade: the names of settings, for people.

    `told`: Envoy hears of its listeners from the control plane of a fleet, so what is theirs alone is left out.
    """
    found = [name for name in AT_START if getattr(old, name) != getattr(new, name) and not (told and name in _TOLD)]
    if told and _sds(old) != _sds(new):
        found.append("listener.tls.sds")
    if not told and _in_listener(old) != _in_listener(new):
        found.append("what of `callers` Envoy's listener has to know")
    places = [place for place in PLACES if place not in _WATCHED and not (told and place in _TOLD_PLACES)]
    found += [path_of(place)[2:] for place in places if _said(old, place) != _said(new, place)]
    if old.mirrors != new.mirrors:
        found.append(_MIRROR)
    if old.api.place != new.api.place:
        found.append("api.address")
    if not told:
        found += _held(old, new)
    # These stand in Envoy's bootstrap; the other limits are the workers' or the routes'.
    limits = ("concurrent_requests",) if told else ("request_headers", "concurrent_requests")
    return found + [f"limits.{name}" for name in limits if getattr(old.limits, name) != getattr(new.limits, name)]


def _held(old: Config, new: Config) -> list[str]:
    if buffered(old) != buffered(new):
        return ["what Envoy holds of a connection (`limits.request_body`, `limits.response_body`)"]
    # The limit itself is the routes', and counts at once.
    return ["the number that Envoy's own 413 names (`limits.request_body`)"] if old.limits.request_body != new.limits.request_body else []
