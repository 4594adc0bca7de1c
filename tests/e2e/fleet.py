"""A fleet on one machine: a control plane, and Envoys that share a port, as if they were behind one address, with `headgate serve`."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import trustme
import yaml

from extproc.envoy.binary import find_envoy
from tests.e2e import starter
from tests.e2e.ports import free_port

# Made once: reading all authorities of the machine takes longer than a request.
_UNCHECKED = ssl.create_default_context()
_UNCHECKED.check_hostname = False
_UNCHECKED.verify_mode = ssl.CERT_NONE

Protocol = Literal["delta", "sotw"]


def until(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s until {what}"
        time.sleep(0.05)


class Node:
    """One Envoy, whose bootstrap `headgate compile xds` has printed."""

    def __init__(self, name: str, folder: Path, printed: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._admin = str(folder / f"{name}.sock")
        self._bootstrap = folder / f"{name}.yaml"
        document = yaml.safe_load(printed)
        # On a machine of its own it would be as it is printed.
        document["admin"]["address"]["pipe"]["path"] = self._admin
        self._bootstrap.write_text(yaml.safe_dump(document))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it."""
        options = ["--disable-hot-restart", "--file-flush-interval-msec", "250", "--concurrency", "1", "--log-level", "warning"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([find_envoy(), "-c", str(self._bootstrap), *options], stdout=log, stderr=log)

    def stop(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        Path(self._admin).unlink(missing_ok=True)

    def admin(self, path: str) -> str:
        """What its admin interface says; nothing while there is none."""
        if not Path(self._admin).exists():
            return ""
        with (
            httpx.Client(transport=httpx.HTTPTransport(uds=self._admin, verify=False)) as client,
            contextlib.suppress(httpx.TransportError),
        ):
            return client.get(f"http://envoy{path}").text
        return ""

    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.admin("/ready").strip() == "LIVE"

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters by name."""
        found = (line.rpartition(": ") for line in self.admin(f"/stats?filter={pattern}").splitlines())
        return {name: int(value) for name, _, value in found if value.isdigit()}


class FleetOfEnvoys:
    """All of it, from `running` to its end. `config`: gateway.yaml, without ports and without `fleet`."""

    def __init__(self, folder: Path, config: Mapping[str, Any], fleet: Mapping[str, Any], protocol: Protocol, nodes: int = 3) -> None:
        self.folder = folder
        self.port, self.plane_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.path = folder / "fleet.yaml"
        self._plane_logs: list[Path] = []
        self.protocol = protocol
        self._environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        self._fleet = {"port": self.plane_port, "protocol": protocol, "run_dir": str(folder), **fleet}
        self._count = nodes
        self.nodes: list[Node] = []
        self._plane: starter.Command | None = None
        self.authority = trustme.CA()
        (folder / "ca.crt").write_bytes(self.authority.cert_pem.bytes())
        self.certify("plane", "127.0.0.1")
        self.certify("callers", "127.0.0.1")
        self._served = {
            **config,
            "listener": {"port": self.port, "tls": {"certificate": "callers/tls.crt", "key": "callers/tls.key"}},
            "admin": {"port": free_port()},
            "api": {"address": "off"},
            "breaker": "off",
        }
        (folder / "serve.yaml").write_text(yaml.safe_dump({**self._served, "state": "served"}))
        self.write(config)

    def certify(self, name: str, *names: str) -> None:
        """A certificate of the fleet's own authority, in a folder of that name."""
        where = self.folder / name
        where.mkdir(exist_ok=True)
        pair = self.authority.issue_cert(*names)
        (where / "tls.key").write_bytes(pair.private_key_pem.bytes())
        (where / "tls.crt").write_bytes(pair.cert_chain_pems[0].bytes())
        (where / "ca.crt").write_bytes(self.authority.cert_pem.bytes())

    def write(self, config: Mapping[str, Any], *, port: int | None = None) -> None:
        """Another configuration for the control plane. `port`: the callers'."""
        tls = {"certificate": "plane/tls.crt", "key": "plane/tls.key", "client_ca": "ca.crt"}
        document = {**self._served, **config, "state": "fleet", "fleet": {"tls": tls, **self._fleet}}
        document["listener"] = {**document["listener"], "port": port or self.port}
        fresh = self.path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(document))
        fresh.replace(self.path)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command."""
        return starter.run(arguments, environ=self._environ, folder=self.folder)

    def start_plane(self) -> None:
        """The control plane."""
        self._plane_logs.append(self.folder / f"plane-{len(self._plane_logs)}.log")
        log = self._plane_logs[-1]
        log.touch()
        self._plane = starter.Command(["fleet", "serve", str(self.path)], environ=self._environ, folder=self.folder, out=log, errors=log)
        until(lambda: "is ready" in log.read_text(), "the control plane is ready")

    def log(self) -> str:
        """What control planes have said, one after the other."""
        return "".join(path.read_text() for path in self._plane_logs)

    def kill_plane(self) -> None:
        """SIGKILL."""
        assert self._plane is not None
        self._plane.kill()
        self._plane.wait(10)

    @contextlib.contextmanager
    def running(self) -> Iterator["FleetOfEnvoys"]:
        """From the start to the end of everything."""
        served = self.folder / "serve.log"
        served.touch()
        command = ["serve", "serve.yaml", "--run-dir", str(self.folder), "--private"]
        serve = starter.Command(command, environ=self._environ, folder=self.folder, out=served, errors=served)
        try:
            self.start_plane()
            for at in range(self._count):
                self._add(f"node-{at}")
            until(lambda: all(node.ready() for node in self.nodes), "all nodes are ready")
            until(lambda: "is ready" in served.read_text(), "workers are ready")
            yield self
        finally:
            for node in self.nodes:
                node.stop()
            if self._plane is not None:
                self._plane.kill()
            serve.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                serve.wait(20)

    def _add(self, name: str) -> None:
        self.certify(name, name)
        done = self.run("compile", "xds", str(self.path), "--node", name, "--certificates", str(self.folder / name))
        assert done.returncode == 0, done.stderr
        node = Node(name, self.folder, done.stdout)
        self.nodes.append(node)
        node.start()

    def status(self) -> dict[str, Any]:
        """What the control plane tells of itself."""
        from extproc.control.run_dir import fleet_socket  # noqa: PLC0415

        socket = str(fleet_socket(self.folder / "fleet"))
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket, verify=False)) as client, contextlib.suppress(httpx.TransportError):
            found = client.get("http://fleet/status").json()
            assert isinstance(found, dict)
            return found
        return {}

    def settled(self) -> bool:
        """Whether all nodes have what they are to have, and that is what the configuration says."""
        status = self.status()
        nodes = [node for node in status.get("nodes", ()) if node["connected"]]
        return status.get("phase") == "steady" and len(nodes) == self._count and all(node["complete"] == status["stable"] for node in nodes)

    def until_changed(self, before: str) -> str:
        """Waits until all have another version than `before`. Its id."""
        until(lambda: self.settled() and self.status()["stable"] != before, f"all nodes have another version than {before}")
        return str(self.status()["stable"])


class Load:
    """Callers who ask all the time, each by connections of its own, so that all nodes are asked."""

    def __init__(self, url: str, model: str, callers: int = 4) -> None:
        self._url, self._model = url, model
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(at,), daemon=True) for at in range(callers)]
        self.done = 0
        self.failed: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, caller: int) -> None:
        stream = caller % 2 == 1
        while not self._over.is_set():
            with httpx.Client(verify=_UNCHECKED, timeout=30) as client:
                for _ in range(10):
                    body = {"model": self._model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
                    try:
                        response = client.post(f"{self._url}/v1/chat/completions", json=body)
                    except httpx.HTTPError as error:
                        self.failed.append(repr(error))
                        break
                    whole = response.text.rstrip().endswith("[DONE]") if stream else "choices" in json.loads(response.text or "{}")
                    self.done += 1
                    if response.status_code != 200 or not whole:
                        self.failed.append(f"{response.status_code} {response.text[:200]}")
