"""The manifests in k8s/attach, at a real API server with the platforms' own definitions: what these do not know is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.api import Refused, eventually
from tests.k8s.cluster import Cluster
from tests.k8s.platforms import PLACES, definitions

# Of the first one, that is: a cluster starts, and is told of 30 kinds.
pytestmark = pytest.mark.timeout(400)

Found = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "k8s" / "attach"
# Of which resource, where in it, and what it is there. The patches of an EnvoyFilter are Envoy's, of which the API server knows nothing.
WRONG: dict[str, list[tuple[str, tuple[str | int, ...], object]]] = {
    "envoy-gateway": [
        ("EnvoyExtensionPolicy", ("spec", "extProc", 0, "failOpenn"), False),
        ("EnvoyExtensionPolicy", ("spec", "extProc", 0, "processingMode", "request", "body"), "Whole"),
        ("EnvoyExtensionPolicy", ("spec", "extProc", 0, "messageTimeout"), "soon"),
        ("ClientTrafficPolicy", ("spec", "connection", "bufferLimit"), "much"),
        ("EnvoyPatchPolicy", ("spec", "jsonPatches", 0, "operation", "op"), "amend"),
        ("HTTPRoute", ("spec", "rules", 0, "filters", 0, "urlRewrite", "hostname"), "no host"),
        ("BackendTLSPolicy", ("spec", "validation", "wellKnownCACertificates"), "Everybody"),
    ],
    "istio": [
        ("EnvoyFilter", ("spec", "configPatches", 0, "applyTo"), "CLUSTERS"),
        ("EnvoyFilter", ("spec", "configPatches", 0, "patch", "operation"), "MIX"),
    ],
    "kgateway": [
        ("GatewayExtension", ("spec", "extProc", "failOpenn"), False),
        ("GatewayExtension", ("spec", "extProc", "processingMode", "requestBodyMode"), "WHOLE"),
        ("TrafficPolicy", ("spec", "extProc", "extensionReff"), {"name": "headgate"}),
        ("ListenerPolicy", ("spec", "default", "perConnectionBufferLimitBytes"), "much"),
        ("BackendConfigPolicy", ("spec", "circuitBreakers", "maxRequests"), -1),
    ],
}


@pytest.fixture(scope="module")
def platforms(cluster: Cluster) -> Cluster:
    """The cluster, with the definitions of all three."""
    found = [one for platform in PLACES for one in definitions(platform)]
    for one in found:
        cluster.api.apply(one)
    names = [one["metadata"]["name"] for one in found]
    eventually(lambda: all(established(cluster, name) for name in names), 120)
    return cluster


def established(cluster: Cluster, name: str) -> bool:
    status = cluster.api.get("apiextensions.k8s.io/v1/CustomResourceDefinition", name).get("status", {})
    return any(one["type"] == "Established" and one["status"] == "True" for one in status.get("conditions", ()))


def objects(platform: str, namespace: str) -> list[Found]:
    found = [one for one in yaml.safe_load_all((FOLDER / f"{platform}.yaml").read_text()) if one]
    for one in found:
        one["metadata"]["namespace"] = namespace
    return found


@pytest.mark.parametrize("platform", PLACES)
def test_the_api_server_takes_it(platforms: Cluster, namespace: str, platform: str) -> None:
    for one in objects(platform, namespace):
        taken = platforms.api.apply(one, namespace)
        assert platforms.api.warnings == []
        assert {**taken["spec"], **one["spec"]}.keys() == taken["spec"].keys()


@pytest.mark.parametrize(("platform", "kind", "path", "value"), [(name, *one) for name, wrong in WRONG.items() for one in wrong])
def test_what_is_wrong_is_refused(
    platforms: Cluster, namespace: str, platform: str, kind: str, path: tuple[str | int, ...], value: object
) -> None:
    right = next(one for one in objects(platform, namespace) if one["kind"] == kind and reaches(one, path[:-1]))
    broken = copy.deepcopy(right)
    node: Any = broken
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    platforms.api.apply(right, namespace, dry_run=True)
    with pytest.raises(Refused):
        platforms.api.apply(broken, namespace, dry_run=True)


def reaches(node: Any, path: tuple[str | int, ...]) -> bool:
    for key in path:
        try:
            node = node[key]
        except (KeyError, IndexError):
            return False
    return True
