"""Where a filter is on: it may be off for a whole connection manager and switched on by a host or a route, or the other way round."""

from collections.abc import Iterator

from extproc.doctor.dump import Manager
from extproc.doctor.plain import Plain, dig

_CONFIG = "typed_per_filter_config"


def switched_on(manager: Manager, name: str) -> Iterator[tuple[Plain, Plain]]:
    """The virtual hosts and routes for which the filter is on."""
    on = not any(one.get("disabled") for one in manager.filters if one["name"] == name)
    on = _after(manager.routes, name, on)
    for host in manager.routes.get("virtual_hosts", ()):
        for_host = _after(host, name, on)
        for route in host.get("routes", ()):
            if _after(route, name, for_host):
                yield host, route


def _after(holder: Plain, name: str, on: bool) -> bool:
    said = dig(holder, _CONFIG, name)
    return on if said is None else not said.get("disabled")
