"""An Envoy as its admin port shows it: the parts of `/config_dump` that we look at, each with the place where it stands."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from extproc.config.model import Limits
from extproc.doctor.plain import Plain, dig, is_a, typed_within
from extproc.envoy import names

_PROCESSOR = "ExternalProcessor"
_CLUSTERS = ("static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters")


class Processor(Struct, frozen=True):
    """An ext_proc filter of ours."""

    where: str
    settings: Plain
    adapter: bool = False
    by_header: bool = False
    """Routes ask for the header by which it names a target, as those of platforms do, and set the host themselves."""

    @property
    def cluster(self) -> str:
        """Whom it asks; empty where that is not by `envoy_grpc`."""
        return str(dig(self.settings, "grpc_service", "envoy_grpc", "cluster_name") or "")


class Cluster(Struct, frozen=True):
    """A cluster."""

    settings: Plain
    dynamic: bool
    """It came by CDS."""

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.settings.get("name", ""))


class Manager(Struct, frozen=True):
    """An HTTP connection manager."""

    listener: Plain
    settings: Plain
    routes: Plain
    """Its route configuration."""
    dynamic: bool
    """Its listener came by LDS."""

    @property
    def where(self) -> str:
        """For people."""
        return f"listener {self.listener.get('name') or '(without a name)'}"

    @property
    def filters(self) -> list[Plain]:
        """Its HTTP filters, in order."""
        return list(self.settings.get("http_filters", ()))


class Dump:
    """All that is known of one Envoy.

    `limits`: what it has to let through. `gate`: the name of the gate's filter, where it cannot be told by what the filter says.
    """

    def __init__(
        self, configs: list[Plain], *, limits: Limits, server: Plain | None = None, runtime: Plain | None = None,
        stats: Mapping[str, int] | None = None, gate: str | None = None,
    ) -> None:  # fmt: skip
        self._configs, self._gate = configs, gate
        self.limits = limits
        self.server: Plain = server or {}
        self.stats: Mapping[str, int] = stats or {}
        self._runtime = runtime

    @cached_property
    def version(self) -> tuple[int, int, int]:
        """Of Envoy; zeros where it does not say."""
        node = self.server.get("node") or self.bootstrap.get("node")
        said = dig(node, "user_agent_build_version", "version") or {}
        return said.get("major_number", 0), said.get("minor_number", 0), said.get("patch", 0)

    @cached_property
    def bootstrap(self) -> Plain:
        """What it was started with."""
        return next((one["bootstrap"] for one in self._of("BootstrapConfigDump") if "bootstrap" in one), {})

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """By name."""
        found = [
            Cluster(entry["cluster"], key != "static_clusters")
            for one in self._of("ClustersConfigDump")
            for key in _CLUSTERS
            for entry in one.get(key, ())
            # Of what Envoy has refused there may be nothing but the reason.
            if "cluster" in entry
        ]
        return {cluster.name: cluster for cluster in found}

    @cached_property
    def managers(self) -> list[Manager]:
        """Every connection manager of every listener."""
        return [
            Manager(listener, settings, self._routes(settings), dynamic)
            for listener, dynamic in self._listeners()
            for chain in _chains(listener)
            for one in chain.get("filters", ())
            if is_a(settings := one.get("typed_config"), "HttpConnectionManager")
        ]

    @cached_property
    def attached(self) -> list[Manager]:
        """Those that have the gate."""
        return [manager for manager in self.managers if any(map(self.is_gate, manager.filters))]

    @cached_property
    def gates(self) -> list[Processor]:
        """The gate, in each of them."""
        return [
            Processor(f"{manager.where}, filter {one['name']}", next(typed_within(one, _PROCESSOR)), by_header=_by_header(manager.routes))
            for manager in self.attached
            for one in manager.filters
            if self.is_gate(one)
        ]

    @cached_property
    def adapters(self) -> list[Processor]:
        """The adapter, wherever attempts may pass it."""
        chains = [
            (f"{manager.where}, the router's upstream_http_filters", router)
            for manager in self.managers
            for router in typed_within(manager.filters, "Router")
        ]
        chains += [(f"cluster {cluster.name}", cluster.settings) for cluster in self.clusters.values()]
        return [
            Processor(f"{where}, filter {one['name']}", processor, adapter=True)
            for where, holder in chains
            for one in _upstream(holder)
            for processor in typed_within(one, _PROCESSOR)
            if one["name"] == names.ADAPTER_FILTER or names.USE_NAMESPACE in _received(processor)
        ]

    def is_gate(self, http_filter: Plain) -> bool:
        """Whether the filter is our gate."""
        # A router has the adapter.
        packed = None if is_a(http_filter.get("typed_config"), "Router") else http_filter
        processor = next(typed_within(packed, _PROCESSOR), None)
        if processor is None:
            return False
        if self._gate is not None:
            return bool(http_filter["name"] == self._gate)
        cluster = str(dig(processor, "grpc_service", "envoy_grpc", "cluster_name"))
        return http_filter["name"] == names.GATE_FILTER or "headgate" in cluster or names.NAMESPACE in _received(processor)

    def runtime(self, key: str) -> str | None:
        """What the runtime says there; None where nothing was said, so that it is Envoy's own default."""
        if self._runtime is not None:
            value = dig(self._runtime, "entries", key, "final_value")
        else:
            layers = dig(self.bootstrap, "layered_runtime", "layers") or ()
            value = next((layer["static_layer"][key] for layer in reversed(layers) if key in layer.get("static_layer", {})), None)
        return None if value is None else str(value).lower()

    def _of(self, kind: str) -> Iterator[Plain]:
        return (one for one in self._configs if is_a(one, kind))

    def _listeners(self) -> Iterator[tuple[Plain, bool]]:
        for one in self._of("ListenersConfigDump"):
            yield from ((entry["listener"], False) for entry in one.get("static_listeners", ()) if "listener" in entry)
            for entry in one.get("dynamic_listeners", ()):
                if (active := dig(entry, "active_state", "listener")) is not None:
                    yield active, True

    def _routes(self, settings: Plain) -> Plain:
        if "route_config" in settings:
            return dict(settings["route_config"])
        name = dig(settings, "rds", "route_config_name")
        entries = [entry.get("route_config") for one in self._of("RoutesConfigDump") for entry in one.get("dynamic_route_configs", ())]
        return next((entry for entry in entries if dig(entry, "name") == name), {})


def _chains(listener: Plain) -> list[Plain]:
    return [chain for chain in [*listener.get("filter_chains", ()), listener.get("default_filter_chain")] if chain]


def _by_header(routes: Plain) -> bool:
    matches = [route.get("match", {}) for host in routes.get("virtual_hosts", ()) for route in host.get("routes", ())]
    return any(header.get("name") == names.CLUSTER_HEADER for match in matches for header in match.get("headers", ()))


def _received(processor: Plain) -> list[Any]:
    return list(dig(processor, "metadata_options", "receiving_namespaces", "untyped") or ())


def _upstream(holder: Plain) -> Iterator[Plain]:
    """The upstream filters of a router, or of a cluster."""
    yield from holder.get("upstream_http_filters", ())
    for options in (holder.get("typed_extension_protocol_options") or {}).values():
        yield from options.get("http_filters", ())
