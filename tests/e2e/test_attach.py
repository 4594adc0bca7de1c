"""Headgate at an Envoy that somebody else runs: the printed parts are pasted, `headgate serve` stands beside it, and all of it works.

What that Envoy did before it goes on doing, unseen by Headgate.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web

from extproc.envoy.binary import find_envoy
from tests.e2e import starter
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.gateway import chat, message
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo, Scripted

CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
KEY = "a-callers-key"
HASH = f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"
METERED = {"metered-o": ["o"], "metered-a": ["a"], "metered-o-then-a": ["o", "a"], "metered-a-then-o": ["a", "o"]}
"""Models that one test alone asks for."""


def until(true: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s until {what}"
        time.sleep(0.02)


class Beside:
    """`headgate serve`, and an Envoy that was started by somebody else."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self.path = folder / "gateway.yaml"
        self._environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        listener, admin = {"port": self.port}, {"port": free_port()}
        self.operator = f"http://127.0.0.1:{admin['port']}"
        # The providers fail again and again.
        own = {"listener": listener, "admin": admin, "api": {"address": "off"}, "state": "state", "breaker": "off"}
        self.path.write_text(yaml.safe_dump({**config, **own}))

    def run(self, *arguments: str) -> str:
        """What a command prints."""
        done = starter.run(arguments, environ=self._environ, folder=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(self, bootstrap: dict[str, Any]) -> Iterator["Beside"]:
        """Both, from their start to their end."""
        envoy_yaml = self.folder / "envoy.yaml"
        envoy_yaml.write_text(yaml.safe_dump(bootstrap))
        arguments = ["serve", "gateway.yaml", "--run-dir", str(self.folder)]
        # As the printed comment says.
        envoy = [find_envoy(), "-c", str(envoy_yaml), "--disable-hot-restart", "--file-flush-interval-msec", "250", "--concurrency", "1"]
        # Both write at the log's end.
        with self.log.open("ab") as log, contextlib.ExitStack() as processes:
            serve = starter.Command(arguments, environ=self._environ, folder=self.folder, out=self.log, errors=self.log)
            processes.callback(end, serve)
            command = [*envoy, "--log-level", "error"]
            processes.callback(end, subprocess.Popen(command, cwd=self.folder, env=self._environ, stdout=log, stderr=log))
            until(lambda: "is ready" in self.log.read_text() and self._answers(), "both are ready", 60)
            yield self

    def _answers(self) -> bool:
        try:
            return CLIENT.get(f"{self.url}/v1/models", headers={"x-api-key": KEY}).status_code == 200
        except httpx.TransportError:
            return False

    def requests(self, by: str = "provider") -> dict[str, int]:
        """What the ledger has."""
        rows = json.loads(self.run("usage", "gateway.yaml", "--by", by, "--json"))["rows"]
        return {row[by]: row["requests"] for row in rows}


def end(process: "starter.Command | subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="module")
def app() -> Iterator[Scripted]:
    """What that Envoy was there for."""

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{request.method} {request.path_qs}", headers={"set-cookie": "theirs=1", "x-request-id": "theirs"})

    with Scripted(page) as running:
        yield running


def by_name(demo: Demo) -> str:
    """Its URL, with a host that has to be resolved."""
    return demo.url.replace("127.0.0.1", "localhost")


def config(openai_provider: Demo, anthropic_provider: Demo) -> dict[str, Any]:
    """Every way; callers need a key."""
    providers = {
        "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "key": "sk-provider-o"},
        # By its name: such a cluster is an aggregate, whose own filters run.
        "a": {"dialect": "anthropic", "base_url": f"{by_name(anthropic_provider)}/v1", "key": "sk-provider-a"},
        "demo": {"dialect": "openai", "base_url": "demo:"},
    }
    models = [
        {"name": "o", "targets": ["o/m"]},
        {"name": "a", "targets": ["a/m"]},
        {"name": "demo", "targets": ["demo/m"]},
        {"name": "o-then-a", "targets": ["o/first", "a/second"]},
        {"name": "a-then-o", "targets": ["a/first", "o/second"]},
        *({"name": name, "targets": targets} for name, targets in METERED.items()),
    ]
    auth = {"keys": [{"name": "caller", "hash": HASH}]}
    filters = [{"meter": {}}, {"auth": auth}, {"route": {}}, {"headers": {}}, {"cache": {}}]
    return {"providers": providers, "models": models, "filters": filters}


def theirs(port: int, app: Scripted) -> dict[str, Any]:
    """An Envoy as somebody else wrote it down: one listener, two hosts, one of which is down."""
    manager: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "theirs",
        "route_config": {
            "virtual_hosts": [
                {"name": "app", "domains": ["app.example"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]},
                {"name": "down", "domains": ["down.example"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "down"}}]},
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "static_resources": {
            "listeners": [{"name": "theirs", "address": address(port), "filter_chains": [chain]}],
            "clusters": [cluster("app", app.port), cluster("down", free_port())],
        }
    }


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address(port)}}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": name, "endpoints": [endpoint]}}


def pasted(bootstrap: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The parts, where their comments say that they belong."""
    bootstrap["layered_runtime"] = parts["layered_runtime"]
    (listener,) = bootstrap["static_resources"]["listeners"]
    listener["per_connection_buffer_limit_bytes"] = 64 * 1024 * 1024
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    router = manager["http_filters"]
    manager |= parts["http_connection_manager"]
    manager["http_filters"] = [*parts["http_connection_manager"]["http_filters"], *router]
    manager["route_config"]["virtual_hosts"].append(parts["virtual_host"])
    manager["route_config"]["validate_clusters"] = parts["validate_clusters"]
    bootstrap["static_resources"]["clusters"] += parts["clusters"]
    return bootstrap


@pytest.fixture(scope="module", params=["attach", "sidecar"])
def either(request: pytest.FixtureRequest, openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Beside]:
    """Attached to somebody's Envoy, and as a sidecar run as it is printed."""
    yield from started(request.param, openai_provider, anthropic_provider, app)


@pytest.fixture(scope="module")
def attached(openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Beside]:
    """Attached, with a ledger of its own."""
    yield from started("attach", openai_provider, anthropic_provider, app)


def started(form: str, openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Beside]:
    """What the form's output makes of an Envoy."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        beside = Beside(config(openai_provider, anthropic_provider), Path(folder))
        printed = yaml.safe_load(beside.run("compile", form, "gateway.yaml", "--run-dir", folder))
        with beside.running(pasted(theirs(beside.port, app), printed) if form == "attach" else printed):
            yield beside


def ask_openai(beside: Beside, model: str, text: str, stream: bool) -> str:
    with openai_sdk(beside.url, KEY) as client:
        if not stream:
            return client.chat.completions.create(**chat(text, model)).choices[0].message.content or ""
        with client.chat.completions.create(**chat(text, model, stream=True)) as chunks:
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def ask_anthropic(beside: Beside, model: str, text: str, stream: bool) -> str:
    with anthropic_sdk(beside.url, KEY) as client:
        if not stream:
            return "".join(block.text for block in client.messages.create(**message(text, model)).content if block.type == "text")
        with client.messages.stream(**message(text, model)) as events:
            return "".join(events.text_stream)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
@pytest.mark.parametrize("model", ["o", "a", "demo", "o-then-a", "a-then-o"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_answered(either: Beside, ask: Callable[[Beside, str, str, bool], str], model: str, stream: bool) -> None:
    assert "Hello" in ask(either, model, "Hello", stream)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", ["status=503", "reset", "break-before-first"])
def test_the_next_target_answers(
    either: Beside,
    openai_provider: Demo,
    anthropic_provider: Demo,
    ask: Callable[[Beside, str, str, bool], str],
    stream: bool,
    failure: str,
) -> None:
    for first, second in (("openai", "anthropic"), ("anthropic", "openai")):
        openai_provider.reset()
        anthropic_provider.reset()
        assert "Hello" in ask(either, f"{first[0]}-then-{second[0]}", f"Hello [demo@{first}: {failure}]", stream)
        for demo, url, credential in (
            (openai_provider, openai_provider.url, ["authorization", "Bearer sk-provider-o"]),
            (anthropic_provider, by_name(anthropic_provider), ["x-api-key", "sk-provider-a"]),
        ):
            (seen,) = demo.requests()
            assert credential in seen["headers"]
            assert ["host", url.removeprefix("http://")] in seen["headers"]
            assert KEY not in str(seen)
            assert not [name for name, _ in seen["headers"] if name.startswith(("x-envoy", "x-headgate", "x-forwarded"))]


def test_nobody_comes_in_without_a_key(either: Beside, openai_provider: Demo) -> None:
    for path in ("/v1/chat/completions", "/v1/files", "/"):
        answer = CLIENT.post(either.url + path, json=chat("Hello", "o"))
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "missing_api_key"
    assert openai_provider.requests() == []


def test_errors_have_the_clients_form(either: Beside) -> None:
    headers = {"x-api-key": KEY}
    for text, status in (("[demo: status=429]", 429), ("[demo: reset]", 503)):
        answer = CLIENT.post(f"{either.url}/v1/messages", json=message(text, "a"), headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (status, "error")
        assert answer.headers["x-request-id"]


def test_each_request_is_metered_once(either: Beside) -> None:
    for model in METERED:
        ask_openai(either, model, "Hello", stream=False)
        ask_anthropic(either, model, "Hello", stream=True)
    counted = dict.fromkeys(METERED, 2)

    def found() -> dict[str, int]:
        by_model = either.requests("model")
        return {name: by_model[name] for name in METERED if name in by_model}

    until(lambda: found() == counted, "they are in the ledger")
    # Envoy's log, the other witness of each, follows a second later: nothing is counted again.
    time.sleep(1.5)
    assert found() == counted
    assert either.requests("key").keys() <= {"caller", ""}


# What that Envoy did before.


@pytest.mark.parametrize(("method", "path"), [("GET", "/page?a=b"), ("POST", "/v1/chat/completions"), ("DELETE", "/v1/files/1")])
def test_their_own_traffic_is_theirs(attached: Beside, app: Scripted, method: str, path: str) -> None:
    """Neither judged nor changed, and above all without any provider's credential."""
    app.headers.clear()
    sent = {"host": "app.example", "authorization": "Bearer theirs", "cookie": "theirs=1", "x-api-key": "theirs"}
    answer = CLIENT.request(method, attached.url + path, headers=sent, content=b"{" if method == "POST" else None)
    assert (answer.status_code, answer.text) == (200, f"{method} {path}")
    assert answer.headers["set-cookie"] == "theirs=1"
    (seen,) = app.headers
    assert {name: seen[name] for name in sent} == sent
    assert "sk-provider" not in str(seen)


def test_their_own_errors_are_theirs(attached: Beside) -> None:
    answer = CLIENT.get(f"{attached.url}/page", headers={"host": "down.example"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/plain"


def test_their_own_traffic_is_not_in_our_ledger(attached: Beside) -> None:
    for host in ("app.example", "down.example"):
        CLIENT.get(f"{attached.url}/page", headers={"host": host})
    ask_openai(attached, "o", "Hello", stream=False)
    # Behind it in the log, and older than what the collector waits for a worker's word.
    until(lambda: attached.requests().get("o") == 1, "ours is in the ledger")
    access_log = attached.folder / "access.log"
    until(lambda: access_log.exists() and access_log.read_text().count("request_id") >= 1, "Envoy has written its log")
    assert "/page" not in access_log.read_text()
    assert attached.requests().keys() <= {"o", ""}
