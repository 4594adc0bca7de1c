"""Envoy Gateway: an EnvoyExtensionPolicy for the gate, policies for what is around it, and an EnvoyPatchPolicy for what those cannot say.

Its ext_proc filter is given 10 s for the whole of an answer, and nothing but ordinary headers to set: both have to be patched.
"""

from extproc.config.listeners import ExtProc
from extproc.config.model import Config, Provider
from extproc.config.network import reached_by
from extproc.config.urls import provider_url
from extproc.envoy import names
from extproc.envoy.buffers import buffered
from extproc.envoy.filters import GATE_PATIENCE
from extproc.envoy.manifests.manifest import (
    AUTHORITY,
    CERTIFICATE,
    GATEWAY_API,
    NAME,
    Spot,
    manifest,
    network,
    object_name,
    reference,
    served,
)
from extproc.envoy.manifests.routes import http_routes, route_names
from extproc.envoy.message import Plain
from extproc.envoy.trusted import is_ip

_GROUP = "gateway.envoyproxy.io"
_API = f"{_GROUP}/v1alpha1"
_GATE = f"{NAME}-gate"
_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
_MOST = 2**32 - 1


def envoy_gateway(config: Config, spot: Spot) -> list[Plain]:
    """All objects, in the order in which they are best applied."""
    far = network(config)
    nowhere = manifest(_API, "HTTPRouteFilter", NAME, spot, spec={"directResponse": {"statusCode": 503}})
    return [
        _clients(config, spot),
        *_backend(_GATE, reached_by(far), far.gate_port, spot, far),
        *(one for name, provider in served(config).items() for one in _provider(name, provider, spot)),
        nowhere,
        *http_routes(config, spot, _GROUP, reference(NAME, "HTTPRouteFilter", _GROUP)),
        _clocks(config, spot),
        _gate(config, spot),
        _patches(spot),
    ]


def _clients(config: Config, spot: Spot) -> Plain:
    spec = {
        "targetRefs": [{**reference(spot.gateway), "sectionName": spot.listener}],
        # 32768 bytes unless it is said: what the gate has to read of a request has to fit.
        "connection": {"bufferLimit": str(buffered(config))},
        # Model names may hold an escaped slash.
        "path": {"escapedSlashesAction": "KeepUnchanged"},
        "headers": {
            "requestID": "Generate",
            "withUnderscoresAction": "RejectRequest",
            "earlyRequestHeaders": {"remove": [names.CLUSTER_HEADER], "removeOnMatch": [{"type": "Prefix", "value": "x-envoy-"}]},
        },
    }
    return manifest(_API, "ClientTrafficPolicy", NAME, spot, spec=spec)


def _provider(name: str, provider: Provider, spot: Spot) -> list[Plain]:
    url = provider_url(provider)
    made = _backend(object_name(name), url.host, url.port, spot)
    if url.scheme == "https":
        hostname = provider.tls_server_name or url.host
        made.append(_certified(object_name(name), spot, {"hostname": hostname, "wellKnownCACertificates": "System"}))
    return made


def _backend(name: str, host: str, port: int, spot: Spot, far: ExtProc | None = None) -> list[Plain]:
    endpoint = {"ip": {"address": host, "port": port}} if is_ip(host) else {"fqdn": {"hostname": host, "port": port}}
    spec: Plain = {"endpoints": [endpoint]}
    made = [manifest(_API, "Backend", name, spot, spec=spec)]
    if far is not None and far.tls is not None:
        if far.tls.client_ca is not None:
            spec["tls"] = {"clientCertificateRef": {"kind": "Secret", "name": CERTIFICATE}}
        signed = {"hostname": host, "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": AUTHORITY}]}
        made.append(_certified(name, spot, signed))
    return made


def _certified(name: str, spot: Spot, validation: Plain) -> Plain:
    spec = {"targetRefs": [reference(name, "Backend", _GROUP)], "validation": validation}
    return manifest(f"{GATEWAY_API}/v1", "BackendTLSPolicy", name, spot, spec=spec)


def _clocks(config: Config, spot: Spot) -> Plain:
    spec = {
        "targetRefs": [reference(name, "HTTPRoute") for name in route_names(config)],
        "circuitBreaker": _room(config),
        "connection": {"bufferLimit": "1Mi"},
        "timeout": {"http": {"requestTimeout": "0s", "connectionIdleTimeout": "30s"}},
    }
    return manifest(_API, "BackendTrafficPolicy", NAME, spot, spec=spec)


def _gate(config: Config, spot: Spot) -> Plain:
    processor = {
        "backendRefs": [reference(_GATE, "Backend", _GROUP)],
        "failOpen": False,
        "messageTimeout": f"{GATE_PATIENCE.seconds}s",
        "processingMode": {
            "allowModeOverride": True,
            "request": {"body": "Buffered"},
            # xds.cluster_name is not among those that may be asked for; of a single target it tells nothing new.
            "response": {"attributes": [names.ATTEMPT_ATTRIBUTE, names.DETAILS_ATTRIBUTE]},
        },
        "metadata": {
            "accessibleNamespaces": [names.USE_NAMESPACE],
            "writableNamespaces": [names.NAMESPACE, names.TARGETS_NAMESPACE],
        },
        "backendSettings": {
            "circuitBreaker": _room(config),
            "http2": {"connectionKeepalive": {"interval": "20s", "timeout": "15s"}},
            "retry": {
                "numRetries": 40,
                "retryOn": {"triggers": ["connect-failure", "refused-stream", "unavailable", "reset"]},
                "perRetry": {"backOff": {"baseInterval": "25ms", "maxInterval": "250ms"}},
            },
        },
    }
    spec = {"targetRefs": [reference(name, "HTTPRoute") for name in route_names(config)], "extProc": [processor]}
    return manifest(_API, "EnvoyExtensionPolicy", NAME, spot, spec=spec)


def _patches(spot: Spot) -> Plain:
    name = f"envoy.filters.http.ext_proc/envoyextensionpolicy/{spot.namespace}/{NAME}/extproc/0"
    changes: dict[str, object] = {
        # The whole of an answer may take longer than 10 s.
        "grpc_service/timeout": "0s",
        # Time-outs and retries are x-envoy-* headers. The host stays the routes': with another one, no route of ours would be found again.
        "mutation_rules": {"allow_envoy": True},
        # The gate asks for them itself; replies to what is no request are not its business.
        "processing_mode/response_header_mode": "SKIP",
    }
    patches = [
        {
            "type": _LISTENER,
            "name": f"{spot.namespace}/{spot.gateway}/{spot.listener}",
            "operation": {"op": "add", "jsonPath": f"..http_filters[?(@.name=='{name}')].typed_config", "path": path, "value": value},
        }
        for path, value in changes.items()
    ]
    spec = {"targetRef": reference(spot.gateway), "type": "JSONPatch", "jsonPatches": patches}
    return manifest(_API, "EnvoyPatchPolicy", NAME, spot, spec=spec)


def _room(config: Config) -> Plain:
    most = min(config.limits.concurrent_requests, _MOST)
    return dict.fromkeys(("maxConnections", "maxPendingRequests", "maxParallelRequests", "maxParallelRetries"), most)
