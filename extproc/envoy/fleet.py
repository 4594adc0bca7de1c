"""What Envoys of a fleet are told: a bootstrap that says little more than whom to ask, and all else as resources of xDS.

The clusters of the workers are in the bootstrap, since changing those cuts streams. The listeners are resources, so that a certificate, a
filter or an access log can change everywhere at once; as long as they are the same, byte for byte, Envoy leaves them alone.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType, ClusterDnsLookupFamily
from envoy_data_plane.envoy.config.core.v3 import Address, DataSource, Http2ProtocolOptions, KeepaliveSettings, SocketAddress
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import CommonTlsContext, TlsCertificate, UpstreamTlsContext
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsExplicitHttpConfig
from msgspec import Struct

from extproc.config.fleet import Fleet
from extproc.config.model import Config
from extproc.envoy.bootstrap import bootstrap
from extproc.envoy.certificates import sds_clusters
from extproc.envoy.clusters import PROTOCOL, endpoints
from extproc.envoy.compile import compile_clusters, compile_listeners, compile_routes
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places
from extproc.envoy.secrets import secret_files
from extproc.envoy.trusted import is_ip, sni, validation
from extproc.envoy.workers import network_clusters

FLEET_CLUSTER = "headgate_fleet"
"""The control plane."""

_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
_ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
# Envoy waits for the control plane as long as it takes: without listeners it would be of no use, and say that it is ready.
_ADS: Plain = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
# When it comes back, nodes do: by default they would ask after up to 30 s.
_AGAIN: Plain = {"retry_back_off": {"base_interval": "0.5s", "max_interval": "5s"}}
_ALIVE = KeepaliveSettings(interval=timedelta(seconds=10), timeout=timedelta(seconds=10))


def compile_xds(config: Config, fleet: Fleet, places: Places, *, node: str = "") -> Plain:
    """The bootstrap of a node. `node`: its id; without one, Envoy's `--service-node` says it."""
    whole = bootstrap(config, places, address=config.listener.address, files=True)
    static = whole["static_resources"]
    workers = static["clusters"] if config.ext_proc is None else [*network_clusters(config, config.ext_proc, places), *sds_clusters(config)]
    ads = {
        "api_type": "DELTA_GRPC" if fleet.protocol == "delta" else "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": FLEET_CLUSTER, "retry_policy": _AGAIN}}],
    }
    return {
        "node": {"id": node, "cluster": "headgate"} if node else {"cluster": "headgate"},
        **{key: value for key, value in whole.items() if key not in ("node", "dynamic_resources", "static_resources")},
        "dynamic_resources": {"ads_config": ads, "cds_config": _ADS, "lds_config": _ADS},
        "static_resources": {"clusters": [*workers, _plane(fleet, places)]},
    }


class Told(Struct, frozen=True):
    """All that a node is told."""

    documents: list[Plain]
    """Each with `@type`."""
    files: frozenset[Path]
    """What of it was read from other files than the configuration."""


def resources(config: Config, places: Places) -> Told:
    """All that a node is told, with what is in files on this machine. Raises `OSError` where one of them cannot be read."""
    listeners = bootstrap(config, places, address=config.listener.address, files=True)["static_resources"]["listeners"]
    listeners = [*({"@type": _LISTENER, **_shared(one)} for one in listeners), *compile_listeners(config)["resources"]]
    over = _Over({path: file["resources"][0] for path, file in secret_files(config, places).items()})
    listed = [over.ads(one) for one in listeners]
    clusters = [over.ads(one) for one in compile_clusters(config, places)["resources"]]
    split = [part for cluster in clusters for part in _split(cluster)]
    return Told([*split, *listed, *compile_routes(config)["resources"], *over.secrets.values()], frozenset(over.read))


def _shared(listener: Plain) -> Plain:
    """A listener whose port another Envoy may have as well: a node's successor, say, while the one before ends."""
    return {**listener, "enable_reuse_port": True} if "socket_address" in listener.get("address", {}) else listener


def _plane(fleet: Fleet, places: Places) -> Plain:
    host = fleet.reached_by
    cluster = Cluster(
        name=FLEET_CLUSTER,
        type=ClusterDiscoveryType.STATIC if is_ip(host) else ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.ALL,
        connect_timeout=timedelta(seconds=3),
        load_assignment=endpoints(FLEET_CLUSTER, [Address(socket_address=SocketAddress(address=host, port_value=fleet.port))]),
    )
    http2 = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions(connection_keepalive=_ALIVE))
    document = plain(cluster, typed_extension_protocol_options={PROTOCOL: typed(Upstream(explicit_http_config=http2))})
    if fleet.tls is not None:
        certificate, key = DataSource(filename=places.client_certificate), DataSource(filename=places.client_key)
        common = CommonTlsContext(
            alpn_protocols=["h2"],
            tls_certificates=[TlsCertificate(certificate_chain=certificate, private_key=key)],
            validation_context=validation(host, places.worker_ca),
        )
        document["transport_socket"] = extension(
            "envoy.transport_sockets.tls", UpstreamTlsContext(common_tls_context=common, sni=sni(host))
        )
    return document


def _split(cluster: Plain) -> list[Plain]:
    """A cluster at fixed addresses, and these by themselves: they may change without it."""
    if cluster.get("type", "STATIC") != "STATIC" or "load_assignment" not in cluster or "cluster_type" in cluster:
        return [cluster]
    assigned = cluster["load_assignment"]
    kept = {key: value for key, value in cluster.items() if key not in ("type", "load_assignment")}
    return [
        {**kept, "type": "EDS", "eds_cluster_config": {"eds_config": _ADS}},
        {"@type": _ENDPOINTS, **assigned, "cluster_name": cluster["name"]},
    ]


class _Over:
    """Documents for files, made into such for the control plane; and the secrets that they then need."""

    def __init__(self, files: Mapping[str, Plain]) -> None:
        self._files = files
        self.secrets: dict[str, Plain] = {}
        self.read: set[Path] = set()

    def ads(self, value: Any) -> Any:
        """The same with all sources of configuration at the control plane."""
        if isinstance(value, list):
            return [self.ads(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "route_config_name" in value and "config_source" in value:
            return {**value, "config_source": _ADS}
        if (path := value.get("sds_config", {}).get("path_config_source", {}).get("path")) in self._files:
            return self._secret(Path(path).stem, {**self._files[path]})
        return {key: self.ads(one) for key, one in value.items()}

    def _secret(self, name: str, secret: Plain) -> Plain:
        self.secrets[name] = {**self._with_contents(secret), "name": name}
        return {"name": name, "sds_config": _ADS}

    def _with_contents(self, value: Any) -> Any:
        """With what is in files in place of their names."""
        if isinstance(value, list):
            return [self._with_contents(one) for one in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"filename"}:
            path = Path(value["filename"])
            self.read.add(path)
            return {"inline_bytes": base64.b64encode(path.read_bytes()).decode()}
        return {key: self._with_contents(one) for key, one in value.items() if key != "watched_directory"}
