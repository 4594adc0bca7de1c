"""A pod as the webhook makes it, run as processes: its application's SDKs, which nobody has configured, come to the gateway beside it."""

import hashlib
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from extproc.injector.yaml_dialect import Dumper, Loader
from tests.e2e import starter
from tests.e2e.gateway import _KEPT
from tests.e2e.node import Image, Node, decoded, listening
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo
from tests.injector.patched import apply
from tests.injector.samples import asked

KEY = "hg-of-the-application"
IMAGES = {"headgate:test": Image(("headgate",), "/etc/headgate"), "app:1": Image(("python",), "/app")}
APP = Path(__file__).with_name("unaware.py").read_text(encoding="utf-8")


class Webhook:
    """`headgate injector`, with a certificate for the name of its Service."""

    NAME = "headgate-injector.headgate.svc"

    def __init__(self, folder: Path, settings: dict[str, Any], version: str) -> None:
        authority = trustme.CA()
        made = authority.issue_cert(self.NAME)
        (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
        (folder / "injector.yaml").write_text(yaml.safe_dump(settings))
        self._trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        self._folder, self._port, self._version = folder, free_port(), version

    def inject(self, pod: dict[str, Any]) -> dict[str, Any]:
        """The pod, as the API server has it after asking."""
        out, log = self._folder / "out", self._folder / "log"
        arguments = [
            "injector", "--settings", "injector.yaml", "--certificate", "tls.crt", "--key", "tls.key", "--address", "127.0.0.1",
            "--port", str(self._port), "--kubernetes-version", self._version, "--drain-delay", "60",
        ]  # fmt: skip
        command = starter.Command(arguments, environ=environ(), folder=self._folder, out=out, errors=log)
        try:
            with httpx.Client(verify=self._trusting) as client:
                self._until(client, command, 200)
                answer = self._ask(client, "POST", "/mutate", content=asked(pod), headers={"content-type": "application/json"})
                command.send_signal(signal.SIGTERM)
                self._until(client, command, 503)
                again = self._ask(client, "POST", "/mutate", content=asked(pod), headers={"content-type": "application/json"})
                assert (again.json(), again.headers["connection"]) == (answer.json(), "close")
            command.send_signal(signal.SIGTERM)
            assert command.wait(30) == 0
        finally:
            command.kill()
        response = answer.json()["response"]
        assert response["allowed"] is True and "warnings" not in response
        assert [json.loads(line)["decision"] for line in out.read_text().splitlines()] == ["injected", "injected"]
        return dict(apply(json.loads(decoded(response["patch"])), pod))

    def _ask(self, client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
        # By the name that the API server asks for, which no resolver here knows.
        return client.request(method, f"https://127.0.0.1:{self._port}{path}", extensions={"sni_hostname": self.NAME}, **more)

    def _until(self, client: httpx.Client, command: starter.Command, readiness: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            assert command.poll() is None and time.monotonic() < deadline, (self._folder / "log").read_text()
            try:
                if self._ask(client, "GET", "/readyz").status_code == readiness:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)


def environ() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


@pytest.fixture(scope="module")
def provider() -> Iterator[Demo]:
    with Demo() as demo:
        yield demo


def gateway_yaml(provider: Demo) -> str:
    """One that others share, and who listens for all the world there."""
    config = {
        "providers": {
            "one": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "env:PROVIDER_KEY"},
            "other": {"dialect": "anthropic", "base_url": f"{provider.url}/v1", "key": "env:PROVIDER_KEY"},
        },
        "models": [{"name": "demo", "targets": ["one/demo"]}, {"name": "claude-*", "targets": ["other/demo"]}],
        "filters": [
            {"meter": {}},
            {"auth": {"required": True, "keys": [{"name": "app", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}]}},
            {"route": {}},
        ],
        "listener": {"address": "0.0.0.0", "port": 80},
        "drain": 5,
    }
    return yaml.safe_dump(config)


def pod(*, init: bool) -> dict[str, Any]:
    """An application that says nothing of where its provider is."""
    app = {"image": "app:1", "command": ["python", "/app/app.py"], "volumeMounts": [{"name": "code", "mountPath": "/app"}]}
    first = [{"name": "first", **app, "args": ["once"]}] if init else []
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": "shop"},
        "spec": {
            "initContainers": first, "containers": [{"name": "app", **app, "args": ["serve"]}],
            "volumes": [{"name": "code", "configMap": {"name": "code"}}],
        },
    }  # fmt: skip


class Case:
    """One injected pod, and the node for it."""

    def __init__(self, folder: Path, provider: Demo, version: str, *, init: bool) -> None:
        self.port, self.admin_port = free_port(), free_port()
        settings = {
            "image": "headgate:test", "port": self.port, "admin_port": self.admin_port, "client_key": {"secret": "virtual-key"},
            "drain_delay": 1,
        }  # fmt: skip
        (folder / "webhook").mkdir()
        self.pod = Webhook(folder / "webhook", settings, version).inject(pod(init=init))
        maps = {"headgate": {"gateway.yaml": gateway_yaml(provider)}, "code": {"app.py": APP}}
        secrets = {"headgate": {"PROVIDER_KEY": "sk-of-the-provider"}, "virtual-key": {"key": KEY}}
        self.node = Node(folder / "node", self.pod, IMAGES, environ(), config_maps=maps, secrets=secrets)

    def container(self) -> dict[str, Any]:
        both = [*self.pod["spec"].get("initContainers", ()), *self.pod["spec"]["containers"]]
        return dict(next(one for one in both if one["name"] == "headgate"))

    def answers(self, name: str) -> list[list[str]]:
        return [json.loads(line) for line in self.node.log(name).splitlines() if line.startswith("[")]


def test_native_sidecar(tmp_path: Path, provider: Demo) -> None:
    provider.reset()
    case = Case(tmp_path, provider, "1.33", init=True)
    with case.node as node:
        node.until(lambda: case.answers("app"), "the application is answered")
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert node.probe(case.container(), kind)
        assert set(listening(case.port)) == {"0100007F"}, "the configuration says 0.0.0.0, the sidecar stays on loopback"
        assert set(listening(case.admin_port)) == {"00000000"}
        node.terminate()
        whole = [answer for name in ("first", "app") for answer in case.answers(name)]
        assert len(whole) == 3 and all(map(all, whole)), "an init container's, the application's, and its last, after SIGTERM"
        assert node.events == [
            "headgate runs", "headgate has started", "first runs", "first has ended", "app runs", "app is asked to end", "app has ended",
            "headgate is asked to end", "headgate has ended",
        ]  # fmt: skip
    seen = provider.requests()
    assert len(seen) == 9
    keys = {value for one in seen for name, value in one["headers"] if name in ("authorization", "x-api-key")}
    assert keys == {"Bearer sk-of-the-provider", "sk-of-the-provider"}, "the virtual key stays in the pod"
    assert (case.node.volume("headgate-state") / "ledger.sqlite3").exists()


def test_classic_sidecar(tmp_path: Path, provider: Demo) -> None:
    provider.reset()
    case = Case(tmp_path, provider, "1.28", init=False)
    with case.node as node:
        node.until(lambda: case.answers("app"), "the application is answered")
        node.terminate()
        assert [all(answer) for answer in case.answers("app")] == [True, True], "the last one while the pod is asked to end"
        assert node.events[:3] == ["headgate runs", "headgate is held no longer", "app runs"]
    assert len(provider.requests()) == 6


def test_offline_it_is_the_same(tmp_path: Path, provider: Demo) -> None:
    settings = {"image": "headgate:test", "client_key": {"secret": "virtual-key"}}
    made = Webhook(tmp_path, settings, "1.33").inject(pod(init=True))
    (tmp_path / "pod.yaml").write_text(yaml.dump(pod(init=True), Dumper=Dumper))
    done = starter.run(["inject", "-f", "pod.yaml", "--settings", "injector.yaml"], environ=environ(), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.load(done.stdout, Loader) == made


def test_the_injector_says_what_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "injector.yaml").write_text("imgae: x\nport: 0\n")
    (tmp_path / "tls.crt").write_text("")
    for arguments, why in (
        (["--settings", "injector.yaml", "--certificate", "tls.crt", "--key", "tls.crt"], 'unknown key "imgae"; did you mean "image"?'),
        (["--certificate", "gone", "--key", "gone"], "gone"),
        (["--certificate", "tls.crt", "--key", "tls.crt", "--kubernetes-version", "new"], "no version of Kubernetes"),
    ):
        done: subprocess.CompletedProcess[str] = starter.run(["injector", *arguments], environ=environ(), folder=tmp_path)
        assert done.returncode == 2 and why in done.stderr
