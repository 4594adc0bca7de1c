"""Clusters: our workers, and the providers."""

import ipaddress
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    Pipe,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsAutoHttpConfig, HttpProtocolOptionsExplicitHttpConfig
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.config.model import Config, Provider
from extproc.config.urls import ProviderUrl, provider_url
from extproc.envoy import names
from extproc.envoy.filters import upstream_filters
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places

_PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_IDLE = timedelta(seconds=30)
"""Unused connections are closed before providers close them, which would break the next request."""


def worker_clusters(config: Config, places: Places) -> list[Plain]:
    """The gate and the adapter: an endpoint a worker. They belong into the bootstrap: changing them cuts every stream."""
    workers = range(config.workers)
    return [
        _workers(names.GATE_CLUSTER, [names.gate_socket(places.run_dir, worker) for worker in workers], config),
        _workers(names.ADAPTER_CLUSTER, [names.adapter_socket(places.run_dir, worker) for worker in workers], config),
    ]


def provider_clusters(config: Config, places: Places, *, adapter: bool = False) -> list[Plain]:
    """The providers. `adapter`: with the adapter in each of them, where the router's own upstream filters cannot be set."""
    return [_provider(name, provider, config, places, adapter) for name, provider in sorted(config.providers.items())]


def _workers(name: str, sockets: list[str], config: Config) -> Plain:
    # Streams last as long as answers do, so there may be as many as requests. Retries are what bridges a worker's restart.
    http2 = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())
    cluster = Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=1),
        circuit_breakers=_breakers(config),
        load_assignment=_endpoints(name, [Address(pipe=Pipe(path=path)) for path in sockets]),
    )
    return plain(cluster, typed_extension_protocol_options={_PROTOCOL: typed(Upstream(explicit_http_config=http2))})


def _provider(name: str, provider: Provider, config: Config, places: Places, adapter: bool) -> Plain:
    cluster, url = names.cluster_name(name), provider_url(provider)
    secure = url.scheme == "https"
    discovery, address = _address(url, places)
    message = Cluster(
        name=cluster,
        type=discovery,
        connect_timeout=timedelta(seconds=provider.timeouts.connect),
        circuit_breakers=_breakers(config),
        load_assignment=_endpoints(cluster, [address]),
    )
    if discovery is ClusterDiscoveryType.LOGICAL_DNS:
        # Both families, tried at once: `localhost` may be served on one of them only.
        message.dns_lookup_family = ClusterDnsLookupFamily.ALL
    document = plain(message, typed_extension_protocol_options={_PROTOCOL: _protocol(secure, adapter)})
    if secure:
        document["transport_socket"] = _tls(provider.tls_server_name or url.host.rstrip("."), places)
    return document


def _address(url: ProviderUrl, places: Places) -> tuple[ClusterDiscoveryType, Address]:
    if url.scheme == "demo":
        return ClusterDiscoveryType.STATIC, Address(pipe=Pipe(path=names.origin_socket(places.run_dir)))
    address = Address(socket_address=SocketAddress(address=url.host, port_value=url.port))
    return ClusterDiscoveryType.STATIC if _is_ip(url.host) else ClusterDiscoveryType.LOGICAL_DNS, address


def _protocol(secure: bool, adapter: bool) -> Plain:
    options = Upstream(common_http_protocol_options=HttpProtocolOptions(idle_timeout=_IDLE))
    if secure:
        # ALPN decides. allow_connect: WebSockets over HTTP/2 (RFC 8441).
        options.auto_config = HttpProtocolOptionsAutoHttpConfig(
            http_protocol_options=Http1ProtocolOptions(), http2_protocol_options=Http2ProtocolOptions(allow_connect=True)
        )
    else:
        options.explicit_http_config = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())
    return typed(options, **({"http_filters": upstream_filters()} if adapter else {}))


def _tls(server_name: str, places: Places) -> Plain:
    # Set here and not taken from :authority (auto_sni), which still is the client's when Envoy reads it.
    ip = _is_ip(server_name)
    kind = SubjectAltNameMatcherSanType.IP_ADDRESS if ip else SubjectAltNameMatcherSanType.DNS
    validation = CertificateValidationContext(
        trusted_ca=DataSource(filename=places.ca_file),
        match_typed_subject_alt_names=[SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=server_name))],
    )
    context = UpstreamTlsContext(common_tls_context=CommonTlsContext(validation_context=validation), sni="" if ip else server_name)
    return extension("envoy.transport_sockets.tls", context)


def _breakers(config: Config) -> CircuitBreakers:
    # Envoy's default of 1024 would count long streams as overload, its default of 3 retries would undo every bridge and fallback.
    most = config.limits.concurrent_requests
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(max_connections=most, max_pending_requests=most, max_requests=most, max_retries=most),
        ]
    )


def _endpoints(cluster: str, addresses: list[Address]) -> ClusterLoadAssignment:
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address)) for address in addresses]
    return ClusterLoadAssignment(cluster_name=cluster, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)])


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
