"""Routes on which the gate is: their clocks, and what is tried again."""

from collections.abc import Iterator

from extproc.doctor.dump import Dump, Manager
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import Plain, dig, seconds
from extproc.doctor.switched import switched_on
from extproc.envoy import names

_DEFAULT_TIMEOUT = 15
_LOOP = ("5xx", "gateway-error", "retriable-4xx", "reset")
"""What Envoy may not try again by itself: a provider may have answered, and charged, before that."""


def check_routes(dump: Dump) -> Iterator[Finding]:
    """Of each connection manager; what several routes have in common is told once."""
    for manager in dump.attached:
        found: dict[tuple[str, str], tuple[Finding, list[str]]] = {}
        for gate in filter(dump.is_gate, manager.filters):
            for host, route in switched_on(manager, gate["name"]):
                for one in _check(dump, gate["name"], host, route):
                    found.setdefault((one.what, one.level), (one, []))[1].append(route.get("name") or _match(route))
        for one, routes in found.values():
            yield Finding(one.level, f"{manager.where}, {_listed(routes)}", one.what, one.why, one.mend)
        yield from _virtual_hosts(dump, manager)


def _check(dump: Dump, gate: str, host: Plain, route: Plain) -> Iterator[Finding]:
    action = route.get("route")
    if action is None:
        return
    if limit := seconds(action.get("timeout"), _DEFAULT_TIMEOUT):
        what = f"timeout is {limit:g} s" + ("" if "timeout" in action else ", by default")
        yield breaks("", what, "it counts for the whole answer: streams that take longer are broken off", route={"timeout": "0s"})
    if limit := seconds(dig(action, "max_stream_duration", "max_stream_duration"), 0):
        why = "answers that take longer are broken off"
        yield breaks("", f"max_stream_duration is {limit:g} s", why, route={"max_stream_duration": None})
    retry = action.get("retry_policy") or host.get("retry_policy") or {}
    if again := [one for one in str(retry.get("retry_on", "")).split(",") if one.strip() in _LOOP]:
        why = "Envoy asks again after a provider has answered, and may have charged; the gate says itself what is tried again"
        yield weakens("", f"retry_on has {', '.join(again)}", why, route={"retry_policy": {"retry_on": "connect-failure,refused-stream"}})
    if limit := seconds(retry.get("per_try_timeout"), 0):
        why = "a provider that begins to answer later is given up, whatever timeouts.first_byte says"
        yield weakens("", f"per_try_timeout is {limit:g} s", why, route={"retry_policy": {"per_try_timeout": None}})
    if action.get("hedge_policy") or host.get("hedge_policy"):
        why = "one request becomes several, each of which is charged"
        yield breaks("", "hedge_policy is set", why, route={"hedge_policy": None})
    if dig(route, "typed_per_filter_config", gate, "overrides", "failure_mode_allow"):
        why = "while no worker answers, requests go on that nobody has judged"
        yield breaks("", "failure_mode_allow is on for this route", why, typed_per_filter_config={gate: {"overrides": {}}})
    cluster = action.get("cluster")
    if cluster is not None and cluster != names.NO_TARGET_CLUSTER and not _asked(route, dump) and not cluster.startswith("headgate"):
        why = "requests for which the gate has named no target go there, with the client's own headers"
        yield weakens("", f"it leads to {cluster}, whatever the gate says", why, route={"cluster_header": names.CLUSTER_HEADER})


def _asked(route: Plain, dump: Dump) -> bool:
    """Whether only what the gate has judged gets there."""
    said = [one.get("filter") for one in dig(route, "match", "dynamic_metadata") or ()]
    headers = [one.get("name") for one in dig(route, "match", "headers") or ()]
    return names.NAMESPACE in said or names.CLUSTER_HEADER in headers


def _virtual_hosts(dump: Dump, manager: Manager) -> Iterator[Finding]:
    hosts = manager.routes.get("virtual_hosts", ())
    if hosts and not any(route for gate in filter(dump.is_gate, manager.filters) for route in switched_on(manager, gate["name"])):
        return  # told already
    off = [
        host["name"] for host in hosts if host["name"] == names.ROUTES
        and not any(of is host for gate in filter(dump.is_gate, manager.filters) for of, _ in switched_on(manager, gate["name"]))
    ]  # fmt: skip
    for name in off:
        why = "its requests are not judged"
        yield breaks(
            f"{manager.where}, virtual host {name}", "the gate is off", why, typed_per_filter_config={names.GATE_FILTER: {"overrides": {}}}
        )


def _match(route: Plain) -> str:
    match = route.get("match", {})
    return str(match.get("prefix") or match.get("path") or match.get("path_separated_prefix") or "(without a name)")


def _listed(routes: list[str]) -> str:
    names_ = list(dict.fromkeys(routes))
    shown = ", ".join(names_[:3])
    return f"{'route' if len(names_) == 1 else 'routes'} {shown}" + (f" and {len(names_) - 3} more" if len(names_) > 3 else "")
