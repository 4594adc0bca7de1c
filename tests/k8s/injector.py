"""The injector as the chart installs it, with its pod's container as a process at its service's address, where the API server asks it."""

import contextlib
import itertools
import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from helm_python import Config

from tests.k8s.api import Found, eventually
from tests.k8s.chart.processes import running
from tests.k8s.chart.rendering import CHART, merged, values
from tests.k8s.cluster import Cluster
from tests.k8s.mounted import MountedPod, at

_WEBHOOKS = "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration"


class Injector:
    """One that is installed, and runs as long as somebody wants it to."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self._api, self.namespace, self._folder = cluster.api, namespace, folder
        self._numbers = itertools.count()
        (self._service,) = cluster.api.list("v1/Service", namespace)
        (deployment,) = cluster.api.list("apps/v1/Deployment", namespace)
        self._template = deployment["spec"]["template"]
        self.pod: MountedPod
        """The one that was started last."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs it, from when it is ready."""
        folder = self._folder / str(next(self._numbers))
        self.pod = MountedPod(folder, self._api, self.namespace, at(self._template, *self._address))
        self.pod.host, _ = self._address
        with running(self.pod):
            yield

    @property
    def _address(self) -> tuple[str, int]:
        """Where the API server asks."""
        spec = self._service["spec"]
        return spec["clusterIP"], spec["ports"][0]["port"]

    def reviews(self, namespace: str) -> list[Found]:
        """What it wrote of pods of a namespace, but for those of `awaited`."""
        lines = (json.loads(line) for line in self.pod.log.splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("namespace") == namespace and line["name"] != "probe"]

    def shown(self) -> bytes:
        """The certificate that it shows."""
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(self._address))


@contextlib.contextmanager
def installed(cluster: Cluster, folder: Path, given: Mapping[str, Any] | None = None) -> Iterator[Injector]:
    """Installs the chart for the injector alone, with more values, in a namespace of its own."""
    namespace = cluster.namespace(f"i-{secrets.token_hex(4)}")
    with Config(kubeconfig_path=cluster.kubeconfig, namespace=namespace) as helm:
        try:
            helm.install(CHART, "gate", merged(values("injector"), given or {}), wait="watcher", timeout=60)
            yield Injector(cluster, namespace, folder)
        finally:
            helm.uninstall("gate", ignore_not_found=True)
            cluster.api.delete("v1/Namespace", namespace)


def opted_in(cluster: Cluster, namespace: str) -> str:
    """Has a namespace's pods get sidecars."""
    cluster.api.patch("v1/Namespace", namespace, {"metadata": {"labels": {"headgate.io/inject": "enabled"}}})
    configure(cluster, namespace)
    return namespace


def configure(cluster: Cluster, namespace: str) -> None:
    """Puts there what sidecars mount."""
    config = {"providers": {"demo": {"dialect": "openai", "base_url": "demo:"}}, "models": [{"name": "*", "targets": ["demo/demo"]}]}
    data = {"gateway.yaml": yaml.safe_dump(config)}
    cluster.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "headgate"}, "data": data}, namespace)


def app(name: str = "app", labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any) -> Found:
    """A pod of somebody's, as `restricted` namespaces take it."""
    restricted = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"name": "app", "image": "app:1", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    metadata = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"securityContext": restricted, "containers": [container], **spec},
    }


def awaited(cluster: Cluster, namespace: str, among: str = "initContainers") -> None:
    """Waits until the API server knows of the webhook and of the namespace's label: it hears of both a moment after it has said that they
    are there.
    """
    eventually(lambda: sidecar(cluster.api.create(app("probe"), namespace, dry_run=True), among))


def sidecar(pod: Found, among: str = "initContainers") -> Found | None:
    """The container that we put into a pod; None where there is none."""
    found = [one for one in pod["spec"].get(among, []) if one["name"] == "headgate"]
    assert len(found) <= 1
    return found[0] if found else None


def environment(pod: Found, container: str = "app") -> dict[str, str]:
    """The variables of a container."""
    (found,) = (one for one in pod["spec"]["containers"] if one["name"] == container)
    return {one["name"]: one.get("value", "") for one in found.get("env", [])}
