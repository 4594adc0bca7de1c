"""What an upgrade by Helm brings to a pod that it does not restart."""

import secrets
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.ports import free_port
from tests.k8s.api import eventually
from tests.k8s.chart.processes import running
from tests.k8s.chart.rendering import CHART, merged
from tests.k8s.cluster import Cluster
from tests.k8s.mounted import MountedPod

CONFIG = {
    "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
    "models": [{"name": "first", "targets": ["demo/demo"]}],
    "identities": {"organizations": {"ours": {}}, "keys": {"first": {"organization": "ours", "secret": "env:CALLER"}}},
    "api": {"address": "off"},
}


def listed(client: httpx.Client) -> list[str]:
    return [model["id"] for model in client.get("/v1/models").json()["data"]]


def test_a_configuration_is_taken_over(cluster: Cluster, namespace: str, helm: Any, tmp_path: Path) -> None:
    key = f"hg-{secrets.token_urlsafe(30)}"
    caller = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "caller"}, "stringData": {"key": key}}
    cluster.api.create(caller, namespace)
    variable = {"name": "CALLER", "valueFrom": {"secretKeyRef": {"name": "caller", "key": "key"}}}
    ports = {"http": free_port(), "admin": free_port()}
    given = {"ports": ports, "config": CONFIG, "pod": {"extraEnv": [variable]}, "restartOnChange": False}
    helm.install(CHART, "gate", given, wait="watcher", timeout=60)
    (deployment,) = cluster.api.list("apps/v1/Deployment", namespace)
    pod = MountedPod(tmp_path / "pod", cluster.api, namespace, deployment["spec"]["template"])
    url, headers = f"http://127.0.0.1:{ports['http']}", {"Authorization": f"Bearer {key}"}
    with running(pod), httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        assert listed(client) == ["first"]
        models = [*CONFIG["models"], {"name": "second", "targets": ["demo/demo"]}]
        helm.upgrade(CHART, "gate", merged(given, {"config": {"models": models}}), wait="watcher", timeout=60)
        pod.update()
        eventually(lambda: listed(client) == ["first", "second"])
    (kept,) = cluster.api.list("apps/v1/ReplicaSet", namespace)
    assert kept["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
