"""What platforms and operators have as resources of their own: from the Go modules that they are published as, by hash."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.apiserver import go

Found = dict[str, Any]

MODULES = {
    "github.com/envoyproxy/gateway@v1.9.1": "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
    "istio.io/api@v1.31.1": "h1:5Yb5ihcz4YQsCkciusK7DnFpBMwRB6EFWeUKH1Atuyk=",
    "github.com/kgateway-dev/kgateway/v2@v2.4.0": "h1:WvHHXxIcpmbZuvAo5PtdasEtaEQlSyV4E3kMGmUwInU=",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    "github.com/cert-manager/cert-manager@v1.21.2": "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
}
_ENVOY_GATEWAY, _ISTIO, _KGATEWAY, _PROMETHEUS, _CERT_MANAGER = MODULES
_WITH = "charts/gateway-helm/charts/crds/crds"
_MONITORS = "example/prometheus-operator-crd/monitoring.coreos.com"

PLACES = {
    # The Gateway API's as well, which all of them have from the same release.
    "envoy-gateway": (_ENVOY_GATEWAY, (f"{_WITH}/gatewayapi-crds.yaml", f"{_WITH}/generated/gateway.envoyproxy.io_*.yaml")),
    "istio": (_ISTIO, ("kubernetes/customresourcedefinitions.gen.yaml",)),
    "kgateway": (_KGATEWAY, ("install/helm/kgateway-crds/templates/gateway.kgateway.dev_*.yaml",)),
}
OPERATORS = {
    "gateway-api": (_ENVOY_GATEWAY, (f"{_WITH}/gatewayapi-crds.yaml",)),
    "prometheus": (_PROMETHEUS, tuple(f"{_MONITORS}_{kind}.yaml" for kind in ("servicemonitors", "podmonitors", "prometheusrules"))),
    "cert-manager": (_CERT_MANAGER, tuple(f"deploy/crds/cert-manager.io_{kind}.yaml" for kind in ("certificates", "issuers"))),
}
"""Of what the chart makes when it is told to."""


@cache
def module(name: str) -> Path:
    """Its folder. Raises `AssertionError` where it is not what it was."""
    # Nothing of it is built; but Go hands out no module that wants a newer Go than there is, so it fetches that one, too.
    settings = {**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run([go(), "mod", "download", "-json", name], capture_output=True, text=True, check=True, env=settings, cwd="/")
    found = json.loads(done.stdout)
    assert found["Sum"] == MODULES[name], name
    return Path(found["Dir"])


def definitions(platform: str) -> list[Found]:
    """The resources that it defines.

    Without the rules (CEL) of kgateway's: to an API server of 1.37 they are dearer than it allows, and it refuses the definitions.
    """
    name, patterns = {**PLACES, **OPERATORS}[platform]
    paths = [path for pattern in patterns for path in sorted(module(name).glob(pattern))]
    documents = [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]
    found = [one for one in documents if one["kind"] == "CustomResourceDefinition"]
    if platform == "kgateway":
        _without_rules(found)
    return found


def _without_rules(node: Any) -> None:
    if isinstance(node, dict):
        node.pop("x-kubernetes-validations", None)
        for inner in node.values():
            _without_rules(inner)
    elif isinstance(node, list):
        for inner in node:
            _without_rules(inner)
