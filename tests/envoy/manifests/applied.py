"""What Istio makes of an EnvoyFilter's patches, as its reference says it: for the patches that ours has, on a gateway's configuration."""

from typing import Any

Plain = dict[str, Any]


def applied(bootstrap: Plain, envoy_filter: Plain, listener: str) -> Plain:
    """The bootstrap with all patches, in their order. `listener`: which of its listeners the port is that they are for."""
    resources = bootstrap["static_resources"]
    target = next(one for one in resources["listeners"] if one["name"] == listener)
    manager = target["filter_chains"][0]["filters"][0]["typed_config"]
    for one in envoy_filter["spec"]["configPatches"]:
        value = one["patch"]["value"]
        match one["applyTo"], one["patch"]["operation"]:
            case "BOOTSTRAP", "MERGE":
                merge(bootstrap, value)
            case "CLUSTER", "ADD":
                resources["clusters"].append(value)
            case "LISTENER", "ADD":
                resources["listeners"].append(value)
            case "LISTENER", "MERGE":
                merge(target, value)
            case "NETWORK_FILTER", "MERGE":
                merge(manager, value["typed_config"])
            case "HTTP_FILTER", "INSERT_BEFORE":
                before = one["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]
                at = next(at for at, present in enumerate(manager["http_filters"]) if present["name"] == before)
                manager["http_filters"].insert(at, value)
            case "VIRTUAL_HOST", "ADD":
                manager["route_config"]["virtual_hosts"].append(value)
                # By RDS, as Istio has it, routes are not checked.
                manager["route_config"]["validate_clusters"] = False
            case other:
                raise AssertionError(other)
    return bootstrap


def merge(into: Plain, more: Plain) -> None:
    """As protobuf merges: messages field by field, lists one behind the other."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif isinstance(value, list):
            into[key] = [*into.get(key, []), *value]
        else:
            into[key] = value
