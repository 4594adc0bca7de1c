"""Istio: an EnvoyFilter that puts the parts of `headgate compile attach` into a gateway's Envoy, all of them and as they are."""

from extproc.config.model import Config
from extproc.envoy.buffers import buffered
from extproc.envoy.compile import compile_attach
from extproc.envoy.manifests.manifest import NAME, Spot, hosts, manifest, network
from extproc.envoy.message import Plain
from extproc.envoy.places import Places

_HCM = "envoy.filters.network.http_connection_manager"
_KIND = "http_connection_manager.v3.HttpConnectionManager"
_OF_BOOTSTRAP = ("layered_runtime", "bootstrap_extensions")
_FOLDER = "/etc/headgate-client"
"""Where the gateway's pods have the secret."""


def istio(config: Config, spot: Spot) -> list[Plain]:
    """One object. What is in its patches, Istio does not look at; Envoy does."""
    network(config)
    places = Places(
        access_log="/dev/stdout", worker_ca=f"{_FOLDER}/ca.crt", client_certificate=f"{_FOLDER}/tls.crt", client_key=f"{_FOLDER}/tls.key"
    )
    parts = compile_attach(config, places)
    manager = parts["http_connection_manager"]
    filters = manager.pop("http_filters")
    host = {**parts["virtual_host"], "domains": [f"{name}{port}" for name in hosts(config, spot.host) for port in ("", ":*")]}
    typed = {"@type": f"type.googleapis.com/envoy.extensions.filters.network.{_KIND}", **manager}
    router = _chain(spot, subFilter={"name": "envoy.filters.http.router"})
    patches = [
        _patch("BOOTSTRAP", "MERGE", {}, {key: parts[key] for key in _OF_BOOTSTRAP if key in parts}, anywhere=True),
        *(_patch("CLUSTER", "ADD", {}, cluster) for cluster in parts["clusters"]),
        # Inside of Envoy, before a proxy on the way to providers.
        *(_patch("LISTENER", "ADD", {}, listener) for listener in parts.get("listeners", ())),
        _patch("LISTENER", "MERGE", {"listener": {"portNumber": spot.port}}, {"per_connection_buffer_limit_bytes": buffered(config)}),
        _patch("NETWORK_FILTER", "MERGE", _chain(spot), {"name": _HCM, "typed_config": typed}),
        # Each goes directly before the router, so behind those before it.
        *(_patch("HTTP_FILTER", "INSERT_BEFORE", router, one) for one in filters),
        _patch("VIRTUAL_HOST", "ADD", {"routeConfiguration": {"portNumber": spot.port}}, host),
    ]
    spec = {"workloadSelector": {"labels": {"istio": spot.gateway}}, "configPatches": patches}
    return [manifest("networking.istio.io/v1alpha3", "EnvoyFilter", NAME, spot, spec=spec)]


def _chain(spot: Spot, **within: Plain) -> Plain:
    """The connection manager of the listener, or a filter within it."""
    return {"listener": {"portNumber": spot.port, "filterChain": {"filter": {"name": _HCM, **within}}}}


def _patch(where: str, operation: str, match: Plain, value: Plain, *, anywhere: bool = False) -> Plain:
    context = {} if anywhere else {"context": "GATEWAY"}
    return {"applyTo": where, "match": {**context, **match}, "patch": {"operation": operation, "value": value}}
