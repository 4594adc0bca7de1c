"""Clusters: those of our workers, and the providers'."""

from collections.abc import Iterator
from typing import Any

from extproc.doctor.dump import Cluster, Dump
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import Plain, dig, typed_within
from extproc.envoy import names

_ROOM = {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 1024, "max_retries": 3}
"""Envoy's defaults."""
_MANY = 10_000
_LOOPBACK = ("127.", "::1", "localhost")


def check_clusters(dump: Dump) -> Iterator[Finding]:
    """Whoever the two filters ask, and whoever the gate may name."""
    for one in [*dump.gates, *dump.adapters]:
        if one.cluster and one.cluster not in dump.clusters:
            yield breaks(one.where, f"its cluster {one.cluster} does not exist", "each request gets 500", grpc_service={"envoy_grpc": {}})
    for name in dict.fromkeys(one.cluster for one in [*dump.gates, *dump.adapters]):
        if name in dump.clusters:
            yield from _workers(dump, dump.clusters[name])
    for cluster in dump.clusters.values():
        if cluster.name.startswith(names.cluster_name("")):
            yield from _room(dump, cluster)
            yield from _certificate(cluster)


def _workers(dump: Dump, cluster: Cluster) -> Iterator[Finding]:
    where, settings = f"cluster {cluster.name}", cluster.settings
    http2 = _http2(settings)
    if http2 is None:
        mend: Plain = {"explicit_http_config": {"http2_protocol_options": {}}}
        yield breaks(
            where, "it does not speak HTTP/2", "gRPC needs it: each request gets 500", typed_extension_protocol_options={_KEY: mend}
        )
    elif "connection_keepalive" not in http2:
        why = "what a worker that hangs has under way stays there, instead of going to another one"
        mend = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "5s", "timeout": "15s"}}}}
        yield weakens(where, "connection_keepalive is missing", why, typed_extension_protocol_options={_KEY: mend})
    if cluster.dynamic:
        why = "whenever it changes, all answers under way are cut; in static_resources it cannot change"
        yield weakens(where, "it comes by CDS", why, static_resources={"clusters": [{"name": cluster.name}]})
    if "health_checks" not in settings:
        why = "a worker that hangs goes on getting requests"
        yield weakens(where, "health_checks are missing", why, health_checks=[{"timeout": "3s", "interval": "3s", "unhealthy_threshold": 3,
                      "healthy_threshold": 1, "no_traffic_interval": "1s", "grpc_health_check": {}}])  # fmt: skip
    if not settings.get("transport_socket") and (far := _far(settings)):
        why = "the providers' keys and all that is asked go there in clear"
        yield weakens(where, f"no TLS to {far}", why, transport_socket={"name": "envoy.transport_sockets.tls"})
    yield from _room(dump, cluster)


def _room(dump: Dump, cluster: Cluster) -> Iterator[Finding]:
    if dig(cluster.settings, "cluster_type", "name") == "envoy.clusters.aggregate":
        wanted: dict[str, int] = {"max_retries": 0}
    else:
        wanted = dict.fromkeys(_ROOM, 0)
    thresholds = dig(cluster.settings, "circuit_breakers", "thresholds") or [{}]
    told: Plain = next((one for one in thresholds if one.get("priority", "DEFAULT") == "DEFAULT"), {})
    most = min(dump.limits.concurrent_requests, _MANY)
    short = {key: room for key in wanted if (room := told.get(key, _ROOM[key])) < most}
    if short:
        what = "circuit breakers: " + ", ".join(f"{key} {room}" for key, room in short.items())
        why = "each stream under way counts, and those beyond get 503 or 500" + (", and no retries" if "max_retries" in short else "")
        most = dump.limits.concurrent_requests
        yield weakens(f"cluster {cluster.name}", what, why, circuit_breakers={"thresholds": [dict.fromkeys(short, most)]})


def _certificate(cluster: Cluster) -> Iterator[Finding]:
    for name, options in _tls(cluster.settings):
        context = dig(options, "common_tls_context", "validation_context") or dig(
            options, "common_tls_context", "combined_validation_context", "default_validation_context"
        )
        combined = dig(options, "common_tls_context", "combined_validation_context", "validation_context_sds_secret_config")
        trusted = dig(context, "trusted_ca") or dig(context, "system_root_certs") is not None or combined is not None
        secret = dig(options, "common_tls_context", "validation_context_sds_secret_config") is not None
        matched = dig(context, "match_typed_subject_alt_names") or options.get("auto_sni_san_validation")
        if not secret and not (trusted and matched):
            why = "whoever answers at that address is given the provider's key"
            name_of = {"san_type": "DNS", "matcher": {"exact": options.get("sni", "the provider's name")}}
            mend = {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}, "match_typed_subject_alt_names": [name_of]}
            yield breaks(
                f"cluster {cluster.name}{name}", "its certificate is not checked", why, common_tls_context={"validation_context": mend}
            )


def _tls(settings: Plain) -> Iterator[tuple[str, Plain]]:
    """Contexts, whatever is around them: with a proxy, TLS is inside another transport socket, or there is none."""
    sockets = [("", settings.get("transport_socket"))]
    sockets += [(f", {one.get('name')}", one.get("transport_socket")) for one in settings.get("transport_socket_matches", ())]
    for name, socket in sockets:
        for context in typed_within(socket, "UpstreamTlsContext"):
            yield name, context
        for quic in typed_within(socket, "QuicUpstreamTransport"):
            yield name, quic.get("upstream_tls_context", {})


_KEY = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _http2(settings: Plain) -> Plain | None:
    """Its options for HTTP/2; None where it speaks something else."""
    options = dig(settings, "typed_extension_protocol_options", _KEY)
    found: Any = dig(options, "explicit_http_config", "http2_protocol_options")
    return settings.get("http2_protocol_options") if found is None else found


def _far(settings: Plain) -> str | None:
    """An address that is not on this machine."""
    for group in dig(settings, "load_assignment", "endpoints") or ():
        for one in group.get("lb_endpoints", ()):
            address = dig(one, "endpoint", "address", "socket_address", "address")
            if address is not None and not address.startswith(_LOOPBACK):
                return str(address)
    return None
