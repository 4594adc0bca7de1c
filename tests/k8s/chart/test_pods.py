"""What the chart's pods would run, run as processes of this machine."""

import base64
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.ports import free_port
from tests.k8s.chart.processes import Pod, running
from tests.k8s.chart.rendering import Manifest, merged, named, render, values
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]

SECRETS = {"OPENAI_API_KEY": "sk-1", "CALLER_KEY": f"hg-{'a' * 40}"}


def ports(*names: str) -> dict[str, Any]:
    return {"ports": {name: free_port() for name in names}, "drain": {"delay": 0.5, "seconds": 1}}


def secret(manifests: list[Manifest], name: str, key: str) -> bytes:
    return base64.b64decode(named(manifests, "Secret", name)["data"][key])


def is_tested(manifests: list[Manifest], use: str, port: int) -> bool:
    """What `helm test` finds, with the Service being this machine."""
    (container,) = (one for one in named(manifests, "Pod")["spec"]["containers"] if one["name"] == use)
    speaks, _, _, path = container["args"]
    command = [sys.executable, *container["command"][1:], speaks, "127.0.0.1", str(port), path]
    return subprocess.run(command, timeout=60, check=False).returncode == 0


def test_the_gateway_serves_a_newcomer(tmp_path: Path) -> None:
    given = ports("http", "admin")
    manifests = render(given)
    pod = Pod(tmp_path, manifests, named(manifests, "Deployment")["spec"]["template"], {})
    key = secret(manifests, "headgate-first-key", "key").decode()
    port = given["ports"]["http"]
    with running(pod), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        assert pod.probe("readinessProbe")
        assert pod.probe("livenessProbe")
        assert is_tested(manifests, "edge", port)
        asked = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
        assert client.post("/v1/chat/completions", json=asked).status_code == 401
        answer = client.post("/v1/chat/completions", json=asked, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
    assert "HEADGATE_FIRST_KEY" not in pod.log
    assert key not in pod.log


def test_the_ext_proc_service_takes_envoys_that_show_their_certificate(tmp_path: Path) -> None:
    given = merged(values("extproc"), ports("gate", "adapter", "health", "admin"))
    manifests = render(given)
    pod = Pod(tmp_path, manifests, named(manifests, "Deployment")["spec"]["template"], SECRETS)
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).write_bytes(secret(manifests, "headgate-client", name))
    envoy = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    stranger = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    for context in (envoy, stranger):
        context.set_alpn_protocols(["h2"])
    envoy.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with running(pod):
        assert pod.probe("readinessProbe")
        assert pod.probe("livenessProbe")
        assert is_tested(manifests, "extproc", given["ports"]["health"])
        for name in ("gate", "adapter"):
            assert is_greeted(envoy, given["ports"][name])
            assert not is_greeted(stranger, given["ports"][name])


def is_greeted(context: ssl.SSLContext, port: int) -> bool:
    """Whether the other end speaks HTTP/2 to whoever asks for its Service's name. With TLS 1.3 a refusal comes after the handshake."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="headgate-extproc.ai.svc") as connection,
        ):
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            return bool(connection.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False


def test_the_injector_has_the_certificate_that_the_api_server_expects(tmp_path: Path) -> None:
    given = merged(values("injector"), {"injector": {"port": free_port()}})
    manifests = render(given)
    pod = Pod(tmp_path, manifests, named(manifests, "Deployment")["spec"]["template"], {})
    hooks = named(manifests, "MutatingWebhookConfiguration")["webhooks"]
    (bundle,) = {hook["clientConfig"]["caBundle"] for hook in hooks}
    context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    service = hooks[0]["clientConfig"]["service"]
    port = given["injector"]["port"]
    asked = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1", "namespace": "shop", "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
        },
    }  # fmt: skip
    with running(pod), httpx.Client(verify=context) as client:
        assert pod.probe("readinessProbe")
        assert is_tested(manifests, "injector", port)
        answer = client.post(
            f"https://127.0.0.1:{port}{service['path']}", json=asked,
            extensions={"sni_hostname": f"{service['name']}.{service['namespace']}.svc"},
        )  # fmt: skip
    patch = json.loads(base64.b64decode(answer.json()["response"]["patch"]))
    images = {one.get("image") for change in patch for one in listed(change.get("value")) if isinstance(one, dict)}
    assert "headgate:0.1.0" in images


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_tables_are_made(tmp_path: Path, postgres: PostgresServer) -> None:
    config = {"store": {"url": "env:DATABASE_URL"}, "ledger": {"url": "env:DATABASE_URL"}}
    manifests = render({"config": merged(values("extproc")["config"], config), "existingSecret": "mine"})
    job = named(manifests, "Job")["spec"]["template"]
    in_files = [one for one in manifests if one["metadata"]["name"] == "headgate-migrations"]
    url = postgres.url(postgres.create())
    pod = Pod(tmp_path, in_files, job, {**SECRETS, "DATABASE_URL": url})
    for _ in range(2):
        for number in range(2):
            assert pod.start(number).wait(60) == 0, pod.log
    assert yaml.safe_load((tmp_path / "config" / "gateway.yaml").read_text())["store"] == {"url": "env:DATABASE_URL"}
    assert url not in pod.log


@pytest.mark.parametrize(("delay", "seconds", "grace"), [(5, 25, 40), (0, 0.5, 11), (10, 600, 620)])
def test_pods_are_not_killed_while_they_drain(delay: float, seconds: float, grace: int) -> None:
    drain = {"drain": {"delay": delay, "seconds": seconds}}
    assert named(render(drain), "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace
