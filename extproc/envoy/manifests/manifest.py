"""Kubernetes objects as plain values, and where on the cluster they go."""

import hashlib
import re
from typing import Any

from msgspec import Struct

from extproc.config.egress import way_to
from extproc.config.listeners import ExtProc
from extproc.config.model import Config, Provider
from extproc.config.urls import DEMO, provider_url
from extproc.envoy.message import Plain

NAME = "headgate"
"""Of every object, or what its name begins with."""
CERTIFICATE = "headgate-client"
"""The secret (`kubernetes.io/tls`, and `ca.crt` in it) with what the platform's Envoys show Headgate's workers."""
AUTHORITY = "headgate-ca"
"""The ConfigMap whose `ca.crt` has signed the workers' certificate."""
GATEWAY_API = "gateway.networking.k8s.io"


class Spot(Struct, frozen=True, kw_only=True):
    """Where on the cluster."""

    namespace: str
    """Of the gateway, and of all that is made: policies reach no further."""
    gateway: str
    """The gateway's name; for Istio, the value of its pods' label `istio`."""
    listener: str
    """The name of its listener."""
    port: int
    """Which that listener has."""
    host: str
    """Under which clients ask for Headgate there."""


class Unmade(Exception):
    """Of a configuration no manifests can be made; says why."""


def manifest(api: str, kind: str, name: str, spot: Spot, **fields: Any) -> Plain:
    """One object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": spot.namespace}, **fields}


def network(config: Config) -> ExtProc:
    """How Headgate's workers are reached. Raises `Unmade`."""
    if config.ext_proc is None:
        raise Unmade("the configuration has no `ext_proc`: say there under which name and ports other pods reach the workers")
    return config.ext_proc


def served(config: Config) -> dict[str, Provider]:
    """The providers that a platform's own routes can lead to."""
    return {name: one for name, one in sorted(config.providers.items()) if not _bound(one, config)}


def _bound(provider: Provider, config: Config) -> bool:
    """To a filter of ours in its cluster, to files of Envoy's, to a proxy, or to this machine."""
    own = (provider.aws, provider.envoy_key_file, provider.ca_file, provider.client_certificate)
    return provider.base_url == DEMO or any(own) or way_to(provider_url(provider).host, config.egress, provider.proxy) is not None


def hosts(config: Config, own: str) -> list[str]:
    """Which hosts a virtual host of ours has to be for: the gate sets a provider's before Envoy chooses the route again."""
    theirs = {provider_url(one).host for one in config.providers.values() if one.base_url != DEMO}
    return [own, *sorted(theirs - {own})]


def left_out(config: Config) -> list[str]:
    """Those that they cannot."""
    return sorted(set(config.providers) - set(served(config)))


def object_name(provider: str) -> str:
    """A name that Kubernetes takes (RFC 1123), and no other provider has."""
    plain = re.sub(r"[^a-z0-9-]", "-", provider.lower()).strip("-")
    return f"{NAME}-{plain}" if plain == provider else f"{NAME}-{plain}-{hashlib.sha256(provider.encode()).hexdigest()[:8]}"


def reference(name: str, kind: str = "Gateway", group: str = GATEWAY_API) -> Plain:
    """Of a policy to what it is about."""
    return {"group": group, "kind": kind, "name": name}
