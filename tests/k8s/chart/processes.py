"""A pod of the chart's as processes of this machine: its containers' arguments, environment, files and probes."""

import base64
import contextlib
import http.client
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from tests.e2e import health
from tests.k8s.chart.rendering import Manifest

ROOT = Path(__file__).parents[3]
_LONGEST = 60.0


class Pod:
    """The pod of a Deployment or a Job; `folder` is its root: paths of mounts are below it."""

    host = "127.0.0.1"
    """Its address."""

    def __init__(self, folder: Path, manifests: list[Manifest], template: Manifest, environ: dict[str, str]) -> None:
        """`manifests`: where its ConfigMaps and Secrets are. `environ`: what it has of Secrets that are not the chart's."""
        self.spec: dict[str, Any] = template["spec"]
        self.folder = folder
        self._manifests = manifests
        self._environ = environ
        self._mounts = self.container()["volumeMounts"]
        for volume in self.spec["volumes"]:
            self._lay(volume)

    def container(self, number: int = 0) -> dict[str, Any]:
        """One of them, those that run before included."""
        found: dict[str, Any] = [*self.spec.get("initContainers", ()), *self.spec["containers"]][number]
        return found

    def here(self, text: str) -> str:
        """With the paths of mounts as they are on this machine."""
        places = {mount["mountPath"]: str(self.folder / mount["name"]) for mount in self._mounts}
        # All at once: this folder may itself be below one of them, such as /tmp.
        return re.sub("|".join(rf"(?<![\w/]){re.escape(path)}(?![\w-])" for path in places), lambda found: places[found[0]], text)

    def _lay(self, volume: dict[str, Any]) -> None:
        place = self.folder / volume["name"]
        place.mkdir(exist_ok=True)
        if "emptyDir" in volume:
            # As a kubelet makes it: anybody may write there.
            place.chmod(0o777)
        for name, content in self._files(volume).items():
            (place / name).write_bytes(content)

    def _files(self, volume: dict[str, Any]) -> dict[str, bytes]:
        """What a ConfigMap or a Secret has for a volume."""
        if "configMap" in volume:
            return {name: self.here(text).encode() for name, text in self._found("ConfigMap", volume["configMap"]["name"])["data"].items()}
        if "secret" in volume:
            return {name: base64.b64decode(text) for name, text in self._found("Secret", volume["secret"]["secretName"])["data"].items()}
        return {}

    def _found(self, kind: str, name: str) -> Manifest:
        (found,) = (one for one in self._manifests if one["kind"] == kind and one["metadata"]["name"] == name)
        return found

    def start(self, number: int = 0) -> subprocess.Popen[bytes]:
        """A container's process; what it says is in `folder / "log"`."""
        container = self.container(number)
        ours = {name: os.environ[name] for name in ("PATH", "HOME", "HEADGATE_ENVOY") if name in os.environ}
        secrets = {}
        for one in container.get("env", ()):
            reference = one["valueFrom"]["secretKeyRef"]
            secrets[one["name"]] = base64.b64decode(self._found("Secret", reference["name"])["data"][reference["key"]]).decode()
        environ = {**ours, **self._environ, **secrets, "PYTHONPATH": str(ROOT), "TMPDIR": self.here("/tmp")}
        command = [sys.executable, "-m", "extproc.cli", *map(self.here, map(str, container["args"]))]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, env=environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """What has been said."""
        return (self.folder / "log").read_text()

    def _port(self, name: str) -> int:
        (found,) = (port["containerPort"] for port in self.container()["ports"] if port["name"] == name)
        return int(found)

    def probe(self, name: str) -> bool:
        """Whether a probe of the container succeeds, as a kubelet tries it."""
        probe = self.container()[name]
        if "grpc" in probe:
            return serves(self.host, probe["grpc"]["port"])
        get = probe["httpGet"]
        if get.get("scheme") == "HTTPS":
            context = ssl._create_unverified_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(self.host, self._port(get["port"]), context=context)
        else:
            connection = http.client.HTTPConnection(self.host, self._port(get["port"]))
        try:
            connection.request("GET", get["path"])
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def serves(host: str, port: int) -> bool:
    """Whether `grpc.health.v1` says so there."""
    try:
        return health.ask(f"{host}:{port}") == health.SERVING
    except grpc.RpcError:
        return False


@contextlib.contextmanager
def running(pod: Pod) -> Iterator[subprocess.Popen[bytes]]:
    """The pod from when its startup probe succeeds; asked to end afterwards, within its grace period."""
    process = pod.start()
    try:
        end = time.monotonic() + _LONGEST
        while not pod.probe("startupProbe"):
            assert process.poll() is None, pod.log
            assert time.monotonic() < end, pod.log
            time.sleep(0.1)
        yield process
        process.terminate()
        assert process.wait(pod.spec["terminationGracePeriodSeconds"]) == 0, pod.log
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
