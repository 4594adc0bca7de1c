"""Clusters of our workers: the gate's and the adapter's.

They belong into the bootstrap: changing them cuts every stream. What a worker does to its requests when it dies or hangs is decided here
(tried with one of two workers killed, and stopped, under load):

- A killed one is bridged by retries (`filters._RETRY`), and left out for a moment after it has refused three connections.
- Requests go to the worker that has the fewest of them, so one that hangs soon gets no more.
- A worker is asked whether it serves, on the very socket that requests take, and left out when it has not answered three times.
- A connection on which nobody answers pings is closed. That ends the requests of a worker that hangs; those of which it had not said
  anything yet go to another one.

With no healthy worker at all, all are tried: so a start waits for no check, and the last worker is never left out.
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    Http2ProtocolOptions,
    KeepaliveSettings,
    Pipe,
    SocketAddress,
)
from envoy_data_plane.envoy.extensions.load_balancing_policies.least_request.v3 import LeastRequest, LeastRequestSelectionMethod
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import CommonTlsContext, TlsCertificate, UpstreamTlsContext
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsExplicitHttpConfig
from envoy_data_plane.envoy.type.v3 import Percent

from extproc.config.listeners import ExtProc
from extproc.config.model import Config
from extproc.config.network import reached_by
from extproc.envoy import names
from extproc.envoy.breakers import breakers
from extproc.envoy.clusters import PROTOCOL, endpoints
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places
from extproc.envoy.trusted import is_ip, sni, validation

_MIB = 1024 * 1024
_ALIVE = KeepaliveSettings(interval=timedelta(seconds=5), timeout=timedelta(seconds=15))
# A window is what Envoy keeps for a stream whose worker does not read on, and what it takes of one unasked; by default 16 times as much.
_HTTP2 = Http2ProtocolOptions(initial_stream_window_size=_MIB, initial_connection_window_size=16 * _MIB, connection_keepalive=_ALIVE)
# The workers of a host share a port, and connections are what is spread over them, so with many streams there have to be several.
_SHARED = Http2ProtocolOptions(
    initial_stream_window_size=_MIB, initial_connection_window_size=16 * _MIB, connection_keepalive=_ALIVE, max_concurrent_streams=100
)  # fmt: skip

_CHECKED = HealthCheck(
    timeout=timedelta(seconds=3),
    interval=timedelta(seconds=3),
    # Before the first request Envoy would look once a minute, and take a worker that started late for a dead one until then.
    no_traffic_interval=timedelta(seconds=1),
    no_traffic_healthy_interval=timedelta(seconds=3),
    unhealthy_interval=timedelta(seconds=1),
    # A worker that is busy for seconds on end, on a machine that is, is no dead one.
    unhealthy_threshold=3,
    healthy_threshold=1,
    grpc_health_check=HealthCheckGrpcHealthCheck(),
)
_PANIC = ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=1))
"""By default it would be half: two of three workers dead, and requests would go to all three."""
# Of all workers, not (the default) of two picked at random, which may be the same one twice.
_FEWEST = extension("envoy.load_balancing_policies.least_request", LeastRequest(selection_method=LeastRequestSelectionMethod.FULL_SCAN))
# Only failures to connect count: what a worker says of a request, an error of ours too, it says in good health.
_REFUSING = plain(
    OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=3,
        enforcing_consecutive_local_origin_failure=100,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
        # A dead worker has the fewest requests of all. It is back within a second.
        interval=timedelta(milliseconds=500),
        base_ejection_time=timedelta(seconds=1),
        max_ejection_time=timedelta(seconds=2),
        max_ejection_percent=100,
    ),
    enforcing_consecutive_5xx=0,  # betterproto2 would write it with one underscore more
)


def worker_clusters(config: Config, places: Places) -> list[Plain]:
    """The gate and the adapter, on the sockets of this machine: an endpoint a worker."""
    workers = range(config.workers)
    return [
        _local(names.GATE_CLUSTER, [names.gate_socket(places.run_dir, worker) for worker in workers], config),
        _local(names.ADAPTER_CLUSTER, [names.adapter_socket(places.run_dir, worker) for worker in workers], config),
    ]


def network_clusters(config: Config, network: ExtProc, places: Places) -> list[Plain]:
    """The gate and the adapter as an Envoy on another host finds them: an endpoint an address."""
    return [
        _distant(names.GATE_CLUSTER, network, network.gate_port, config, places),
        _distant(names.ADAPTER_CLUSTER, network, network.adapter_port, config, places),
    ]


def _local(name: str, sockets: list[str], config: Config) -> Plain:
    cluster = _cluster(name, [Address(pipe=Pipe(path=path)) for path in sockets], config)
    cluster.connect_timeout = timedelta(seconds=1)
    return _finished(cluster, _HTTP2)


def _distant(name: str, network: ExtProc, port: int, config: Config, places: Places) -> Plain:
    host = reached_by(network)
    cluster = _cluster(name, [Address(socket_address=SocketAddress(address=host, port_value=port))], config)
    cluster.connect_timeout = timedelta(seconds=3)
    if not is_ip(host):
        # Every address that the name has is a host with workers: a headless service of Kubernetes, say.
        cluster.type, cluster.dns_lookup_family = ClusterDiscoveryType.STRICT_DNS, ClusterDnsLookupFamily.ALL
    finished = _finished(cluster, _SHARED)
    if network.tls is not None:
        finished["transport_socket"] = _tls(host, places, client=network.tls.client_ca is not None)
    return finished


def _cluster(name: str, addresses: list[Address], config: Config) -> Cluster:
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        # Streams last as long as answers do, so there may be as many as requests.
        circuit_breakers=breakers(config),
        health_checks=[_CHECKED],
        common_lb_config=_PANIC,
        load_assignment=endpoints(name, addresses),
    )


def _finished(cluster: Cluster, options: Http2ProtocolOptions) -> Plain:
    http2 = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=options)
    return plain(
        cluster,
        outlier_detection=_REFUSING,
        load_balancing_policy={"policies": [{"typed_extension_config": _FEWEST}]},
        typed_extension_protocol_options={PROTOCOL: typed(Upstream(explicit_http_config=http2))},
    )


def _tls(host: str, places: Places, *, client: bool) -> Plain:
    common = CommonTlsContext(alpn_protocols=["h2"], validation_context=validation(host, places.worker_ca))
    if client:
        certificate, key = DataSource(filename=places.client_certificate), DataSource(filename=places.client_key)
        common.tls_certificates = [TlsCertificate(certificate_chain=certificate, private_key=key)]
    return extension("envoy.transport_sockets.tls", UpstreamTlsContext(common_tls_context=common, sni=sni(host)))
