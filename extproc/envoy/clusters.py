"""Clusters: the providers, and what those of our workers have in common with them.

Envoy answers 503 itself, and asks nobody else, where a cluster has no host (`no_healthy_upstream`), as one whose name cannot be resolved.
So a provider with a name is an aggregate of two clusters: its addresses, and, while there are none, a socket where nobody listens. That
attempt fails like any other, and the next target is asked. (`STRICT_DNS` could have the second one as another priority of the same
cluster, but would close connections with each address that a provider's name no longer has; `LOGICAL_DNS` takes one endpoint only.)
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    Pipe,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.clusters.aggregate.v3 import ClusterConfig as Aggregate
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions as Upstream
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptionsAutoHttpConfig, HttpProtocolOptionsExplicitHttpConfig

from extproc.config.egress import Proxy
from extproc.config.model import Config, Provider
from extproc.config.urls import ProviderUrl, provider_url, proxy_of
from extproc.envoy import names
from extproc.envoy.api import api_clusters
from extproc.envoy.breakers import breakers
from extproc.envoy.chains import orders, version
from extproc.envoy.egress import egress_clusters, endpoint, inside
from extproc.envoy.filters import upstream_filters
from extproc.envoy.fragments import theirs
from extproc.envoy.jwt import checked_by_envoy, cluster_of, origin
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places
from extproc.envoy.sealed import any_sealed, cleaner, injector, is_sealed
from extproc.envoy.signing import signer
from extproc.envoy.trusted import is_ip, provider_tls

PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
"""Key of a cluster's HTTP options."""
_WHOSE = "provider"
"""Key of the metadata by which the providers of a chain have each its own TLS."""
_IDLE = timedelta(seconds=30)
"""Unused connections are closed before providers close them, which would break the next request."""


def provider_clusters(config: Config, places: Places, *, adapter: bool = False) -> list[Plain]:
    """The providers. `adapter`: with the adapter in each of them, where the router's own upstream filters cannot be set."""
    found: list[Plain] = []
    named, clean = False, cleaner() if any_sealed(config) else None
    added = theirs(config, "http_filters", "upstream")
    for name, provider in sorted(config.providers.items()):
        cluster, url = names.cluster_name(name), provider_url(provider)
        discovery, address = _address(url, proxy_of(provider, config.egress), places)
        # A cluster's own filters stand in place of the router's.
        after = _after(name, provider, places)
        own = adapter or after or clean is not None
        filters = upstream_filters(*added, *after, clean=clean, version=version(config)) if own else []
        if discovery is ClusterDiscoveryType.STATIC:
            found.append(_owned(name, _provider(cluster, name, provider, address, discovery, config, places, filters)))
            continue
        named, resolved = True, names.resolved_name(cluster)
        # Of an aggregate's filters only its own run.
        found += [
            _owned(name, _named(cluster, resolved, config, filters)),
            _provider(resolved, name, provider, address, discovery, config, places, []),
        ]
    found += [_issuer(at, one.jwks_url, config, places) for at, one in enumerate(checked_by_envoy(config)) if one.jwks_url is not None]
    found += api_clusters(config, places) + egress_clusters(config, places)
    found += [
        _chain(
            order, config, places, upstream_filters(*added, clean=clean, version=version(config)) if adapter or clean is not None else []
        )
        for order in orders(config)
    ]
    found += theirs(config, "clusters")
    return [*found, _no_address(config, places)] if named else found


def _issuer(at: int, url: str, config: Config, places: Places) -> Plain:
    """Where Envoy fetches an issuer's keys."""
    where = Provider(dialect="openai", base_url=origin(url))
    discovery, address = _address(provider_url(where), proxy_of(where, config.egress), places)
    return _provider(cluster_of(at), cluster_of(at), where, address, discovery, config, places, [])


def _owned(name: str, cluster: Plain) -> Plain:
    """A cluster that says whose it is: Envoy's replies name that. An address that came later is still the same provider's."""
    return {**cluster, "metadata": {"filter_metadata": {names.NAMESPACE: {names.PROVIDER: name.partition(names.BEHIND)[0]}}}}


def _after(name: str, provider: Provider, places: Places) -> list[Plain]:
    """What Envoy itself does to a request that is ready."""
    if provider.aws is not None:
        return [signer(provider.aws)]
    return [injector(name, provider, places)] if is_sealed(provider) else []


def _provider(
    cluster: str,
    name: str,
    provider: Provider,
    address: Address | None,
    discovery: ClusterDiscoveryType,
    config: Config,
    places: Places,
    filters: list[Plain],
) -> Plain:
    url = provider_url(provider)
    secure = url.scheme == "https"
    message = Cluster(
        name=cluster,
        type=discovery,
        connect_timeout=timedelta(seconds=provider.timeouts.connect),
        circuit_breakers=breakers(config),
        load_assignment=endpoints(cluster, [address] if address is not None else []),
    )
    if discovery is ClusterDiscoveryType.LOGICAL_DNS:
        # Both families, tried at once: `localhost` may be served on one of them only.
        message.dns_lookup_family = ClusterDnsLookupFamily.ALL
    document = plain(message, typed_extension_protocol_options={PROTOCOL: _protocol(secure and provider.http2, filters)})
    if secure:
        document["transport_socket"] = provider_tls(name, provider, places)
    if (proxy := proxy_of(provider, config.egress)) is not None:
        document["load_assignment"] = {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint(proxy, url)]}]}
        document["transport_socket"] = inside(document.get("transport_socket"))
    return document


def _chain(order: tuple[str, ...], config: Config, places: Places, filters: list[Plain]) -> Plain:
    """Several providers, one a priority: the next is asked when one has failed."""
    name = names.chain_name(map(names.cluster_name, order))
    urls = [provider_url(config.providers[one]) for one in order]
    static = all(is_ip(url.host) for url in urls)
    message = Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC if static else ClusterDiscoveryType.STRICT_DNS,
        connect_timeout=timedelta(seconds=max(config.providers[one].timeouts.connect for one in order)),
        circuit_breakers=breakers(config),
    )
    if not static:
        # Each address is a host of its own here: where only one family is served, half of all attempts would fail.
        message.dns_lookup_family = ClusterDnsLookupFamily.V4_PREFERRED
    # One protocol for all of them: what may be HTTP/2 is not the whole chain's, so it is HTTP/1.1.
    document = plain(message, typed_extension_protocol_options={PROTOCOL: _protocol(False, filters)})
    groups = [_link(at, one, url) for at, (one, url) in enumerate(zip(order, urls, strict=True))]
    document["load_assignment"] = {"cluster_name": name, "endpoints": groups}
    document["transport_socket_matches"] = [
        {"name": one, "match": {_WHOSE: one}, "transport_socket": provider_tls(one, config.providers[one], places)}
        for one, url in dict(zip(order, urls, strict=True)).items()
        if url.scheme == "https"
    ]
    return _owned(" or ".join(dict.fromkeys(one.partition(names.BEHIND)[0] for one in order)), document)


def _link(at: int, provider: str, url: ProviderUrl) -> Plain:
    """One provider of a chain. The adapter is told by the host's metadata which it is."""
    address = Address(socket_address=SocketAddress(address=url.host, port_value=url.port))
    member = plain(LbEndpoint(endpoint=Endpoint(address=address)))
    member["metadata"] = {"filter_metadata": {names.NAMESPACE: {names.AT: str(at)}, "envoy.transport_socket_match": {_WHOSE: provider}}}
    return {"priority": at, "lb_endpoints": [member]}


def _named(cluster: str, resolved: str, config: Config, filters: list[Plain]) -> Plain:
    """A provider that has a name: the addresses that it has, or else nobody."""
    # Retries are counted here, connections and requests at the clusters behind.
    message = Cluster(name=cluster, lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED, circuit_breakers=breakers(config))
    members = extension("envoy.clusters.aggregate", Aggregate(clusters=[resolved, names.NO_ADDRESS_CLUSTER]))
    document = plain(message, cluster_type=members)
    return {**document, "typed_extension_protocol_options": {PROTOCOL: _protocol(False, filters)}} if filters else document


def _no_address(config: Config, places: Places) -> Plain:
    nobody = Address(pipe=Pipe(path=names.no_address_socket(places.run_dir)))
    message = Cluster(
        name=names.NO_ADDRESS_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        circuit_breakers=breakers(config),
        load_assignment=endpoints(names.NO_ADDRESS_CLUSTER, [nobody]),
    )
    return plain(message)


def _address(url: ProviderUrl, proxy: Proxy | None, places: Places) -> tuple[ClusterDiscoveryType, Address | None]:
    """Where a provider is; None for one that a proxy finds."""
    if proxy is not None:
        return ClusterDiscoveryType.STATIC, None
    if url.scheme == "demo":
        return ClusterDiscoveryType.STATIC, Address(pipe=Pipe(path=names.origin_socket(places.run_dir)))
    address = Address(socket_address=SocketAddress(address=url.host, port_value=url.port))
    return ClusterDiscoveryType.STATIC if is_ip(url.host) else ClusterDiscoveryType.LOGICAL_DNS, address


def _protocol(negotiated: bool, filters: list[Plain]) -> Plain:
    options = Upstream(common_http_protocol_options=HttpProtocolOptions(idle_timeout=_IDLE))
    if negotiated:
        # ALPN decides. allow_connect: WebSockets over HTTP/2 (RFC 8441).
        options.auto_config = HttpProtocolOptionsAutoHttpConfig(
            http_protocol_options=Http1ProtocolOptions(), http2_protocol_options=Http2ProtocolOptions(allow_connect=True)
        )
    else:
        options.explicit_http_config = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())
    return typed(options, **({"http_filters": filters} if filters else {}))


def endpoints(cluster: str, addresses: list[Address]) -> ClusterLoadAssignment:
    """All of them in one group."""
    members = [LbEndpoint(endpoint=Endpoint(address=address)) for address in addresses]
    return ClusterLoadAssignment(cluster_name=cluster, endpoints=[LocalityLbEndpoints(lb_endpoints=members)])
