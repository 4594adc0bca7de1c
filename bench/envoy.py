"""Envoy without Headgate: straight to the provider, or with one ext_proc filter before it. Its configuration is all there is."""

from typing import Any

Document = dict[str, Any]

_EXT_PROC = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3"
_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_BUFFER = 64 * 1024 * 1024
_MANY = 100_000
STREAM_ACCEPT = "text/event-stream"
"""What the load generator accepts when it asks for a stream; such answers are not buffered."""


def bootstrap(port: int, provider_port: int, ext_proc_socket: str = "") -> Document:
    """A bootstrap that listens on loopback. `ext_proc_socket`: the Unix socket of an ext_proc server that is shown all four phases."""
    clusters = [_cluster("provider", {"socket_address": {"address": "127.0.0.1", "port_value": provider_port}})]
    filters: list[Document] = []
    if ext_proc_socket:
        clusters.append(_cluster("ext_proc", {"pipe": {"path": ext_proc_socket}}, http2=True))
        filters.append({"name": "ext_proc", "typed_config": _processor()})
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    filters.append({"name": "envoy.filters.http.router", "typed_config": router})
    return {
        # What Headgate's own Envoy has to have off (extproc/envoy/bootstrap.py), so both have it off.
        "layered_runtime": {
            "layers": [{"name": "bench", "static_layer": {"envoy.reloadable_features.grpc_side_stream_flow_control": False}}]
        },
        "static_resources": {"listeners": [_listener(port, filters, with_ext_proc=bool(ext_proc_socket))], "clusters": clusters},
    }


def _listener(port: int, filters: list[Document], *, with_ext_proc: bool) -> Document:
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(with_ext_proc=with_ext_proc)}]},
        "http_filters": filters,
    }
    return {
        "name": "bench",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "per_connection_buffer_limit_bytes": _BUFFER,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _routes(*, with_ext_proc: bool) -> list[Document]:
    action = {"cluster": "provider", "timeout": "0s"}
    everything = {"match": {"prefix": "/"}, "route": action}
    if not with_ext_proc:
        return [everything]
    streamed = {"@type": f"{_EXT_PROC}.ExtProcPerRoute", "overrides": {"processing_mode": _mode("STREAMED")}}
    accepts = {"name": "accept", "string_match": {"exact": STREAM_ACCEPT}}
    stream = {"match": {"prefix": "/", "headers": [accepts]}, "route": action, "typed_per_filter_config": {"ext_proc": streamed}}
    return [stream, everything]


def _processor() -> Document:
    return {
        "@type": f"{_EXT_PROC}.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "ext_proc"}, "timeout": "0s"},
        "processing_mode": _mode("BUFFERED"),
        "message_timeout": "30s",
    }


def _mode(response_body: str) -> Document:
    return {
        "request_header_mode": "SEND",
        "request_body_mode": "BUFFERED",
        "response_header_mode": "SEND",
        "response_body_mode": response_body,
        "request_trailer_mode": "SKIP",
        "response_trailer_mode": "SKIP",
    }


def _cluster(name: str, address: Document, *, http2: bool = False) -> Document:
    protocol = "http2_protocol_options" if http2 else "http_protocol_options"
    limits = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": _HTTP, "explicit_http_config": {protocol: {}}}
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
    }
