"""Routes of the Gateway API for requests with one target: the gate names it by a header, and each provider has a rule that asks for that.

A request that the gate has not judged, or has sent to several targets, is met by none of them, and gets 503.
"""

from extproc.config.model import Config
from extproc.config.urls import provider_url
from extproc.envoy import names
from extproc.envoy.manifests.manifest import GATEWAY_API, NAME, Spot, manifest, object_name, reference, served
from extproc.envoy.message import Plain
from extproc.envoy.routes import INTERNAL_HEADERS
from extproc.envoy.trusted import is_ip

_RULES = 15
"""In one object there may be 16."""


def http_routes(config: Config, spot: Spot, group: str, nowhere: Plain) -> list[Plain]:
    """As many objects as it takes. `group`: of the platform's own `Backend`; `nowhere`: the filter that answers what goes nowhere."""
    rules = [_rule(name, provider_url(provider).host, group) for name, provider in served(config).items()]
    chunks = [rules[at : at + _RULES] for at in range(0, len(rules), _RULES)] or [[]]
    everything = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "filters": [{"type": "ExtensionRef", "extensionRef": nowhere}],
    }
    chunks[0].append(everything)
    parents = [{**reference(spot.gateway), "sectionName": spot.listener}]
    return [
        manifest(f"{GATEWAY_API}/v1", "HTTPRoute", name, spot, spec={"parentRefs": parents, "hostnames": [spot.host], "rules": chunk})
        for name, chunk in zip(route_names(config), chunks, strict=True)
    ]


def route_names(config: Config) -> list[str]:
    """Of these objects."""
    more = range(2, (len(served(config)) - 1) // _RULES + 2)
    return [NAME, *(f"{NAME}-{number}" for number in more)]


def _rule(provider: str, host: str, group: str) -> Plain:
    asked = {"type": "Exact", "name": names.CLUSTER_HEADER, "value": names.cluster_name(provider)}
    # The gate may not set it: with another one, Envoy would find no route of these again. An address is no host name here.
    rewritten = [] if is_ip(host) else [{"type": "URLRewrite", "urlRewrite": {"hostname": host}}]
    return {
        "matches": [{"headers": [asked]}],
        "filters": [*rewritten, {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": INTERNAL_HEADERS}}],
        "backendRefs": [reference(object_name(provider), "Backend", group)],
        # Of the whole answer, streams too.
        "timeouts": {"request": "0s"},
    }
