"""What the chart puts into pods, as processes: the containers' own arguments, environment and mounts, asked by their own probes."""

import base64
import secrets
import ssl
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from bench.children import free_port
from tests.k8s.api import Found, eventually
from tests.k8s.chart.rendering import CHART, merged
from tests.k8s.cluster import Cluster
from tests.k8s.container import Container

CONFIG = {
    "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
    "models": [{"name": "first", "targets": ["demo/demo"]}],
    "identities": {"organizations": {"ours": {}}, "keys": {"first": {"organization": "ours", "secret": "env:CALLER"}}},
    "api": {"address": "off"},
}
KEY = f"hg-{secrets.token_urlsafe(30)}"
QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}


def ports(*names: str) -> Found:
    """Values that put a use where nobody else is."""
    return {"ports": {name: free_port() for name in names}, "drain": {"delay": 0, "seconds": 1}}


def configured(cluster: Cluster, namespace: str) -> Found:
    """Values with a configuration, and the Secret that it takes the caller's key from."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"CALLER": KEY}}
    cluster.api.create(secret, namespace)
    return {"config": CONFIG, "existingSecret": "keys"}


def container(cluster: Cluster, namespace: str, folder: Path) -> Container:
    (deployment,) = cluster.api.list("apps/v1/Deployment", namespace)
    return Container(cluster.api, namespace, deployment["spec"]["template"]["spec"], folder)


def asking(given: Found, key: str) -> httpx.Client:
    """A client of the gateway."""
    url = f"http://127.0.0.1:{given['ports']['http']}"
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)


def probed(of: Container, probe: str, given: Found) -> bool:
    """What a kubelet would find."""
    said = of.spec[probe]
    if "grpc" in said:
        with grpc.insecure_channel(f"127.0.0.1:{said['grpc']['port']}") as channel:
            try:
                # https://github.com/grpc/grpc/blob/master/doc/health-checking.md: the field 1 of the answer is 1, SERVING.
                check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
                return bool(check(b"", timeout=5) == b"\x08\x01")
            except grpc.RpcError:
                return False
    port = given["ports"][said["httpGet"]["port"]]
    try:
        return httpx.get(f"http://127.0.0.1:{port}{said['httpGet']['path']}", trust_env=False).is_success
    except httpx.TransportError:
        return False


def ready(of: Container, process: subprocess.Popen[bytes], given: Found) -> None:
    def look() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {of.log}")
        return all(probed(of, probe, given) for probe in ("startupProbe", "readinessProbe", "livenessProbe"))

    eventually(look)


def test_the_gateway_that_a_newcomer_installs_answers(cluster: Cluster, namespace: str, helm: Any, tmp_path: Path) -> None:
    given = ports("http", "admin")
    helm.install(CHART, "gate", given, wait="watcher", timeout=60)
    edge = container(cluster, namespace, tmp_path)
    secret = cluster.api.get("v1/Secret", "gate-headgate-first-key", namespace)
    key = base64.b64decode(secret["data"]["key"]).decode()
    with edge.running() as process, asking(given, key) as client, asking(given, "hg-another") as stranger:
        ready(edge, process, given)
        assert stranger.post("/v1/chat/completions", json=QUESTION).status_code == 401
        answer = client.post("/v1/chat/completions", json=QUESTION)
        assert answer.json()["choices"][0]["message"]["content"]


def test_an_upgrade_that_restarts_nobody_is_taken_over(cluster: Cluster, namespace: str, helm: Any, tmp_path: Path) -> None:
    given = merged(ports("http", "admin"), configured(cluster, namespace), {"restartOnChange": False})
    helm.install(CHART, "gate", given, wait="watcher", timeout=60)
    edge = container(cluster, namespace, tmp_path)
    with edge.running() as process, asking(given, KEY) as client:
        ready(edge, process, given)
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["first"]

        models = [*CONFIG["models"], {"name": "second", "targets": ["demo/demo"]}]
        helm.upgrade(CHART, "gate", merged(given, {"config": {"models": models}}), wait="watcher", timeout=60)
        edge.update()
        eventually(lambda: [model["id"] for model in client.get("/v1/models").json()["data"]] == ["first", "second"])
    (revision,) = cluster.api.list("apps/v1/ReplicaSet", namespace)
    assert revision["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


def test_the_ext_proc_service_talks_to_whoever_has_the_clients_certificate(
    cluster: Cluster, namespace: str, helm: Any, tmp_path: Path
) -> None:  # fmt: skip
    alone = {"edge": {"enabled": False}, "extproc": {"enabled": True}}
    given = merged(ports("gate", "adapter", "health", "admin"), configured(cluster, namespace), alone)
    helm.install(CHART, "gate", given, wait="watcher", timeout=60)
    service = container(cluster, namespace, tmp_path / "pod")
    secret = cluster.api.get("v1/Secret", "gate-headgate-extproc-client", namespace)["data"]
    authority, certificate, private = (base64.b64decode(secret[name]) for name in ("ca.crt", "tls.crt", "tls.key"))
    target = f"127.0.0.1:{given['ports']['gate']}"
    named = [("grpc.ssl_target_name_override", f"gate-headgate-extproc.{namespace}.svc")]
    with service.running() as process:
        ready(service, process, given)
        ours = grpc.ssl_channel_credentials(authority, private, certificate)
        with grpc.secure_channel(target, ours, named) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        stranger = ssl.create_default_context(cadata=authority.decode())
        stranger.check_hostname = False
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            httpx.get(f"https://{target}/", verify=stranger, trust_env=False)
