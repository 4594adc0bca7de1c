"""What Envoy does by itself, without a worker."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from msgspec.structs import replace as changed

from extproc.config.fragments import Fragments
from extproc.config.listeners import Listener
from extproc.config.model import Config, Limits, Provider
from extproc.envoy import names
from extproc.envoy.binary import arguments, find_envoy
from extproc.envoy.compile import compile_clusters, compile_edge, compile_listeners, compile_routes
from extproc.envoy.document import replace, to_yaml
from extproc.envoy.places import Places, below
from tests.e2e.ports import free_port
from tests.envoy.samples import SEVERAL


class Running:
    """An Envoy with the sample configuration on a free port."""

    def __init__(self, places: Places) -> None:
        port = free_port()
        self.places = places
        self.config = changed(
            SEVERAL,
            listener=Listener(address="127.0.0.1", port=port),
            limits=Limits(request_headers=8, request_body=2_000_000, response_body=2_000_000),
        )
        self.url = f"http://127.0.0.1:{port}"
        self.tell(self.config)
        bootstrap = Path(places.run_dir, "bootstrap.yaml")
        bootstrap.write_text(to_yaml(compile_edge(self.config, places, files=True)))
        command = [find_envoy(), *arguments(str(bootstrap), threads=1), "--log-level", "error"]
        self.process = subprocess.Popen(command)

    def tell(self, config: Config) -> None:
        """Write the files that Envoy watches."""
        replace(Path(names.clusters_file(self.places.run_dir)), to_yaml(compile_clusters(config, self.places)))
        replace(Path(names.routes_file(self.places.run_dir)), to_yaml(compile_routes(config)))
        replace(Path(names.listeners_file(self.places.run_dir)), to_yaml(compile_listeners(config)))

    def admin(self, path: str) -> str:
        """Ask the admin interface."""
        # httpx forgets to close a Unix socket that nobody listens on yet, so that is found out first.
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.connect(names.admin_socket(self.places.run_dir))
        with httpx.Client(transport=httpx.HTTPTransport(uds=names.admin_socket(self.places.run_dir), verify=False)) as client:
            return client.get(f"http://envoy{path}").text


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(below(str(tmp_path_factory.mktemp("e")), ca_file=certifi.where()))
    try:
        eventually(lambda: "LIVE" in running.admin("/ready"))
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(10)


def eventually(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (httpx.TransportError, FileNotFoundError, ConnectionRefusedError):
            pass
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_headers_beyond_the_limit(envoy: Running) -> None:
    answer = httpx.get(envoy.url, headers={"x-long": "x" * 9000}, verify=False)
    assert answer.status_code == 431
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "request_headers_too_large", None)
    assert "limits.request_headers" in error["message"]


def test_headers_with_underscores(envoy: Running) -> None:
    answer = httpx.get(envoy.url, headers={"x_api_key": "1"}, verify=False)
    assert answer.status_code == 400
    assert "underscore" in answer.json()["error"]["message"]


def test_what_the_operators_own_routes_answer_is_left_alone(envoy: Running) -> None:
    said = {"match": {"path": "/own"}, "direct_response": {"status": 404, "body": {"inline_string": "nobody's"}}}
    moved = {"match": {"path": "/old"}, "redirect": {"path_redirect": "/new"}}
    envoy.tell(changed(envoy.config, envoy=Fragments(routes=(said, moved))))
    try:
        eventually(lambda: httpx.get(f"{envoy.url}/own", verify=False).text == "nobody's")
        assert httpx.get(f"{envoy.url}/own", verify=False).headers["content-type"] == "text/plain"
        answer = httpx.get(f"{envoy.url}/old", verify=False)
        assert (answer.status_code, answer.headers["location"], answer.text) == (301, f"{envoy.url}/new", "")
    finally:
        envoy.tell(envoy.config)


def test_without_a_worker_nothing_passes(envoy: Running) -> None:
    answer = httpx.post(
        f"{envoy.url}/v1/chat/completions?key=secret", json={}, headers={"x-request-id": "theirs"}, timeout=30, verify=False
    )
    assert answer.status_code == 500
    assert answer.headers["server"] == "headgate"
    assert answer.headers["x-request-id"] != "theirs"
    assert answer.json()["error"]["code"] == "gateway_error"
    line = last_line(envoy.places.access_log, answer.headers["x-request-id"])
    assert (line["status"], line["path"], line["attempts"]) == (500, "/v1/chat/completions", 0)
    assert line["details"].startswith("ext_proc_error")


@pytest.mark.parametrize(("path", "headers"), [("/v1/messages", {}), ("/v1/unknown", {"anthropic-version": "2023-06-01"})])
def test_body_beyond_the_limit_in_the_other_dialect(envoy: Running, path: str, headers: dict[str, str]) -> None:
    # Envoy's own limit is never below that of the listener's buffer; the gate minds a smaller one.
    answer = httpx.post(f"{envoy.url}{path}", json={"x": "y" * 68_000_000}, headers=headers, timeout=30, verify=False)
    assert answer.status_code == 413
    error = answer.json()
    assert error["type"] == "error"
    assert error["error"]["type"] == "request_too_large"
    assert error["request_id"] == answer.headers["x-request-id"]


def test_providers_change_while_it_runs(envoy: Running) -> None:
    fresh = Provider(dialect="openai", base_url="http://127.0.0.1:1")
    envoy.tell(changed(envoy.config, providers={**envoy.config.providers, "fresh": fresh}))
    eventually(lambda: "provider_fresh" in envoy.admin("/clusters"))
    envoy.tell(envoy.config)
    eventually(lambda: "provider_fresh" not in envoy.admin("/clusters"))
    assert "provider_openai" in envoy.admin("/clusters")


def last_line(path: str, request_id: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def read() -> bool:
        found[:] = [line for line in map(json.loads, Path(path).read_text().splitlines()) if line["request_id"] == request_id]
        return bool(found)

    eventually(read)
    return found[-1]
