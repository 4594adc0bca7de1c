"""kgateway: a GatewayExtension for the gate, and policies for what is around it. It has no way to change what these make of it."""

from extproc.config.model import Config
from extproc.config.network import reached_by
from extproc.config.urls import provider_url
from extproc.envoy import names
from extproc.envoy.buffers import buffered
from extproc.envoy.filters import GATE_PATIENCE
from extproc.envoy.manifests.manifest import CERTIFICATE, NAME, Spot, manifest, network, object_name, reference, served
from extproc.envoy.manifests.routes import http_routes, route_names
from extproc.envoy.message import Plain

_GROUP = "gateway.kgateway.dev"
_API = f"{_GROUP}/v1alpha1"
_GATE = f"{NAME}-gate"
_MOST = 2**31 - 1
"""Its fields have 31 bits."""


def kgateway(config: Config, spot: Spot) -> list[Plain]:
    """All objects, in the order in which they are best applied."""
    far = network(config)
    made = [_clients(config, spot), _backend(_GATE, reached_by(far), far.gate_port, spot)]
    tls = None if far.tls is None else {**_checked(reached_by(far)), "alpnProtocols": ["h2"], "secretRef": {"name": CERTIFICATE}}
    made.append(_connected(_GATE, config, spot, tls, http2ProtocolOptions={"connectionKeepalive": {"interval": "5s", "timeout": "15s"}}))
    for name, provider in served(config).items():
        url = provider_url(provider)
        server = provider.tls_server_name or url.host
        checked = {**_checked(server), "wellKnownCACertificates": "System"}
        made.append(_backend(object_name(name), url.host, url.port, spot))
        made.append(_connected(object_name(name), config, spot, checked if url.scheme == "https" else None))
    made.append(manifest(_API, "DirectResponse", NAME, spot, spec={"status": 503}))
    made += http_routes(config, spot, _GROUP, reference(NAME, "DirectResponse", _GROUP))
    return [*made, _extension(spot), _traffic(config, spot)]


def _clients(config: Config, spot: Spot) -> Plain:
    spec = {
        "targetRefs": [reference(spot.gateway)],
        "default": {
            "perConnectionBufferLimitBytes": min(buffered(config), _MOST),
            "httpSettings": {
                "useRemoteAddress": True,
                "preserveExternalRequestId": False,
                "earlyRequestHeaderModifier": {"remove": ["x-request-id", names.CLUSTER_HEADER]},
            },
        },
    }
    return manifest(_API, "ListenerPolicy", NAME, spot, spec=spec)


def _backend(name: str, host: str, port: int, spot: Spot) -> Plain:
    return manifest(_API, "Backend", name, spot, spec={"type": "Static", "static": {"hosts": [{"host": host, "port": port}]}})


def _connected(name: str, config: Config, spot: Spot, tls: Plain | None, **more: Plain) -> Plain:
    most = min(config.limits.concurrent_requests, _MOST)
    room = dict.fromkeys(("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries"), most)
    spec: Plain = {"targetRefs": [reference(name, "Backend", _GROUP)], "circuitBreakers": room, **more}
    return manifest(_API, "BackendConfigPolicy", name, spot, spec=spec if tls is None else {**spec, "tls": tls})


def _checked(name: str) -> Plain:
    return {"sni": name, "verifySubjectAltNames": [name]}


def _extension(spot: Spot) -> Plain:
    skipped = dict.fromkeys(("responseHeaderMode", "requestTrailerMode", "responseTrailerMode"), "SKIP")
    processor = {
        "grpcService": {
            "backendRef": reference(_GATE, "Backend", _GROUP),
            "retry": {"attempts": 40, "backoff": {"baseInterval": "25ms", "maxInterval": "250ms"}},
        },
        # By default it is open.
        "failOpen": False,
        "messageTimeout": f"{GATE_PATIENCE.seconds}s",
        "processingMode": {"requestHeaderMode": "SEND", "requestBodyMode": "BUFFERED", "responseBodyMode": "NONE", **skipped},
        "allowProcessingModeOverride": True,
        "metadataOptions": {"forwarding": {"untyped": [names.USE_NAMESPACE]}},
        # Behind whatever judges callers there.
        "filterStage": {"stage": "Route", "predicate": "Before"},
    }
    return manifest(_API, "GatewayExtension", NAME, spot, spec={"extProc": processor})


def _traffic(config: Config, spot: Spot) -> Plain:
    spec = {
        "targetRefs": [reference(name, "HTTPRoute") for name in route_names(config)],
        "extProc": {"extensionRef": {"name": NAME}},
    }
    return manifest(_API, "TrafficPolicy", NAME, spot, spec=spec)
