"""The way out through a proxy: `CONNECT host:port`, and the provider's own TLS inside.

Envoy's transport socket for that (`http_11_proxy`) knows no credentials and no TLS to the proxy. So a provider's endpoint is an internal
listener, which turns what comes into one CONNECT a connection (`tcp_proxy`), and a proxy is a cluster of its own. Which host it is asked
for stands in the endpoint's metadata, so there is one such listener for each proxy. Nobody looks a provider's name up but the proxy.

https://www.envoyproxy.io/docs/envoy/latest/configuration/other_features/internal_listener
"""

import base64
from collections.abc import Iterable
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import CircuitBreakers, Cluster, ClusterDiscoveryType, ClusterDnsLookupFamily
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    EnvoyInternalAddress,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import Endpoint, LbEndpoint
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.extensions.bootstrap.internal_listener.v3 import InternalListener
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy, TcpProxyTunnelingConfig
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import CommonTlsContext, UpstreamTlsContext

from extproc.config.egress import Proxy
from extproc.config.model import Config
from extproc.config.urls import ProviderUrl, bracketed, proxy_of
from extproc.envoy import names
from extproc.envoy.breakers import breakers
from extproc.envoy.message import Plain, extension, plain
from extproc.envoy.places import Places
from extproc.envoy.trusted import is_ip, sni, validation

_TO = "to"
_CONNECT = timedelta(seconds=5)
_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"


def proxies(config: Config) -> list[Proxy]:
    """All that are used."""
    found = (proxy_of(provider, config.egress) for _, provider in sorted(config.providers.items()))
    return list({one.name: one for one in found if one is not None}.values())


def extensions() -> list[Plain]:
    """What a bootstrap needs for internal listeners."""
    return [extension("envoy.bootstrap.internal_listener", InternalListener())]


def endpoint(proxy: Proxy, url: ProviderUrl) -> Plain:
    """The endpoint of a provider that is reached by a proxy."""
    internal = EnvoyInternalAddress(server_listener_name=_name(proxy), endpoint_id=f"{url.host}:{url.port}")
    member = plain(LbEndpoint(endpoint=Endpoint(address=Address(envoy_internal_address=internal))))
    return {**member, "metadata": {"filter_metadata": {names.EGRESS_NAMESPACE: {_TO: f"{bracketed(url.host)}:{url.port}"}}}}


def inside(socket: Plain | None) -> Plain:
    """A transport socket that tells the listener which endpoint it was: `socket` is the one inside."""
    within = socket or extension("envoy.transport_sockets.raw_buffer", RawBuffer())
    told = [{"kind": {"host": {}}, "name": names.EGRESS_NAMESPACE}]
    return {
        "name": "envoy.transport_sockets.internal_upstream",
        "typed_config": {"@type": _TYPE, "passthrough_metadata": told, "transport_socket": within},
    }


def egress_listeners(config: Config) -> list[Plain]:
    """An internal listener for each proxy."""
    return [_listener(proxy) for proxy in proxies(config)]


def egress_clusters(config: Config, places: Places) -> list[Plain]:
    """The proxies."""
    own = config.egress.ca_file if config.egress is not None else None
    return [_cluster(proxy, own or places.ca_file, breakers(config)) for proxy in proxies(config)]


def _name(proxy: Proxy) -> str:
    return names.EGRESS + proxy.name


def _listener(proxy: Proxy) -> Plain:
    tunnel = TcpProxyTunnelingConfig(
        hostname=f"%DYNAMIC_METADATA({names.EGRESS_NAMESPACE}:{_TO})%", headers_to_add=list(_credentials(proxy))
    )  # fmt: skip
    # An idle connection is the provider's cluster's to close.
    forward = TcpProxy(stat_prefix="egress", cluster=_name(proxy), tunneling_config=tunnel, idle_timeout=timedelta(0))
    chain = {"filters": [extension("envoy.filters.network.tcp_proxy", forward)]}
    return plain(Listener(name=_name(proxy)), internal_listener={}, filter_chains=[chain])


def _credentials(proxy: Proxy) -> Iterable[HeaderValueOption]:
    if proxy.user or proxy.password:
        pair = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        action = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
        yield HeaderValueOption(header=HeaderValue(key="proxy-authorization", value=f"Basic {pair}"), append_action=action)


def _cluster(proxy: Proxy, ca_file: str, room: CircuitBreakers) -> Plain:
    address = Address(socket_address=SocketAddress(address=proxy.host, port_value=proxy.port))
    message = Cluster(name=_name(proxy), type=ClusterDiscoveryType.STATIC, connect_timeout=_CONNECT, circuit_breakers=room)
    if not is_ip(proxy.host):
        message.type, message.dns_lookup_family = ClusterDiscoveryType.STRICT_DNS, ClusterDnsLookupFamily.ALL
    member = plain(LbEndpoint(endpoint=Endpoint(address=address)))
    document = plain(message, load_assignment={"cluster_name": _name(proxy), "endpoints": [{"lb_endpoints": [member]}]})
    if proxy.scheme == "https":
        context = UpstreamTlsContext(common_tls_context=CommonTlsContext(validation_context=validation(proxy.host, ca_file)))
        context.sni = sni(proxy.host)
        document["transport_socket"] = extension("envoy.transport_sockets.tls", context)
    return document
