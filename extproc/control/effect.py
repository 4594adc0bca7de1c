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


def _in_listener(config: Config) -> object:
    callers = config.callers
    return config.certified, callers.mesh is not None and callers.mesh.trusted, [one for one in callers.jwt if one.verify != "gateway"]


def _said(config: Config, place: tuple[str, ...]) -> object:
    return (config.envoy and at(config.envoy, place)) or None


def known_to_envoy(config: Config) -> object:
    """What its watched files say of a configuration: whatever else changes is the workers' business alone."""
    return config.providers, config.egress, config.envoy, config.limits, silences(config), config.api.listener


def needs_restart(old: Config, new: Config) -> list[str]:
    """What of `new` takes effect at the next start, or with an upgrade: the names of settings, for people."""
    found = [name for name in AT_START if getattr(old, name) != getattr(new, name)]
    if _in_listener(old) != _in_listener(new):
        found.append("what of `callers` Envoy's listener has to know")
    found += [path_of(place)[2:] for place in PLACES if place not in _WATCHED and _said(old, place) != _said(new, place)]
    # These stand in Envoy's bootstrap; the other limits are the workers' or the routes'.
    limits = ("request_headers", "concurrent_requests")
    if old.mirrors != new.mirrors:
        found.append("`mirror`, which no model had before or none has now,")
    if old.api.place != new.api.place:
        found.append("api.address")
    if buffered(old) != buffered(new):
        found.append("what Envoy holds of a connection (`limits.request_body`, `limits.response_body`)")
    elif old.limits.request_body != new.limits.request_body:
        # The limit itself is the routes', and counts at once.
        found.append("the number that Envoy's own 413 names (`limits.request_body`)")
    return found + [f"limits.{name}" for name in limits if getattr(old.limits, name) != getattr(new.limits, name)]
