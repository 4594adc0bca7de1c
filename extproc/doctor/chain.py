"""Who stands before the gate and who behind it, in the chain of HTTP filters."""

from collections.abc import Iterator

from extproc.doctor.dump import Dump, Manager
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import Plain, dig, typed_within
from extproc.doctor.switched import switched_on
from extproc.envoy import names

_JUDGES = ("JwtAuthentication", "ExtAuthz", "OAuth2", "BasicAuth", "ApiKeyAuth", "GeoipFilter", "RBAC", "Csrf")
"""Types of filters that look at what a client says of itself."""
_OWN = (names.TRAILERS_FILTER, names.TOKEN_FILTER)
_PACKING = ("Compressor",)
_EVENTS = "text/event-stream"


def check_chain(dump: Dump) -> Iterator[Finding]:
    """Of each connection manager that has the gate."""
    if not dump.attached:
        yield breaks(
            "all listeners",
            "no filter of Headgate's is in any connection manager",
            "no request is judged; where it has another name, say --gate NAME",
            http_filters=[{"name": names.GATE_FILTER}, {"name": "envoy.filters.http.router"}],
        )
    for manager in dump.attached:
        at = next(at for at, one in enumerate(manager.filters) if dump.is_gate(one))
        yield from _number(dump, manager)
        yield from _before(manager, manager.filters[:at], dump.limits.request_body)
        yield from _behind(dump, manager, manager.filters[at + 1 :])
        if not any(one["name"] == names.TRAILERS_FILTER for one in manager.filters):
            why = "trailers of a request go on to providers, unseen by the gate"
            yield weakens(
                manager.where, f"the filter {names.TRAILERS_FILTER} is missing", why, http_filters=[{"name": names.TRAILERS_FILTER}]
            )


def _number(dump: Dump, manager: Manager) -> Iterator[Finding]:
    gates = [one["name"] for one in manager.filters if dump.is_gate(one)]
    on = [name for name in gates if any(switched_on(manager, name))]
    if not on:
        why = "the filter is off, and no route switches it on: no request is judged"
        yield breaks(manager.where, f"{gates[0]} is off everywhere", why, typed_per_filter_config={gates[0]: {"overrides": {}}})
    if len(on) > 1:
        yield breaks(manager.where, f"{len(on)} gates: {', '.join(on)}", "each request is judged, counted and billed by each of them")


def _before(manager: Manager, filters: list[Plain], largest: int) -> Iterator[Finding]:
    for one in filters:
        for buffer in typed_within(one, "Buffer"):
            if (most := buffer.get("max_request_bytes", 0)) < largest:
                what = f"the filter {one['name']} takes no more than {most} bytes"
                why = f"larger requests get its 413, though limits.request_body allows {largest}"
                yield weakens(manager.where, what, why, max_request_bytes=largest)
        for packer in typed_within(one, "Compressor"):
            if _EVENTS in _packed(packer):
                why = "events are kept until enough of them have come to be packed: streams come in lumps"
                mend = {"response_direction_config": {"common_config": {"content_type": ["application/json"]}}}
                yield breaks(manager.where, f"the filter {one['name']} packs {_EVENTS}", why, **mend)


def _behind(dump: Dump, manager: Manager, filters: list[Plain]) -> Iterator[Finding]:
    for one in filters:
        name = one["name"]
        if any(typed_within(one, "Router")) or name in _OWN or dump.is_gate(one) or not any(switched_on(manager, name)):
            continue
        if any(any(typed_within(one, judge)) for judge in _JUDGES):
            why = "it judges the provider's credential, path and host, which the gate has set, instead of the client's"
            yield breaks(
                manager.where, f"the filter {name} stands behind the gate", why, http_filters=[{"name": name}, {"name": "headgate.gate"}]
            )
        elif any(any(typed_within(one, packer)) for packer in _PACKING):
            why = "the gate gets answers packed, and can neither read nor meter them"
            yield breaks(
                manager.where, f"the filter {name} stands behind the gate", why, http_filters=[{"name": name}, {"name": "headgate.gate"}]
            )
        else:
            why = "it sees requests with the provider's credential, and answers before they are metered"
            yield weakens(
                manager.where, f"the filter {name} stands behind the gate", why, http_filters=[{"name": name}, {"name": "headgate.gate"}]
            )


def _packed(packer: Plain) -> list[str]:
    """Content types, by either of the ways to say them."""
    return [
        *(dig(packer, "response_direction_config", "common_config", "content_type") or ()),
        *(packer.get("content_type") or ()),
    ]
