"""Nothing reaches a provider untranslated, or that the gate has not judged, whatever the gate says or a caller claims.

On a real Envoy, with a script of the test's in the gate's place: it says what a request's `x-say` tells it to.
"""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import certifi
import httpx
import pytest
from msgspec.structs import replace

from extproc.config.listeners import Listener
from extproc.config.model import Provider
from extproc.envoy import names
from extproc.envoy.binary import arguments, find_envoy
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import to_yaml
from extproc.envoy.places import Places, below
from tests.e2e.ports import free_port
from tests.envoy.samples import SEVERAL
from tests.envoy.test_live import eventually

SCRIPT = """
function envoy_on_request(handle)
  local say, cluster = handle:headers():get("x-say") or "", handle:headers():get("x-cluster")
  local metadata = handle:streamInfo():dynamicMetadata()
  for key, value in string.gmatch(say, "(%w+)=(%w+)") do metadata:set("headgate", key, value) end
  if handle:headers():get("x-targets") then
    local clusters = {{cluster_name = handle:headers():get("x-targets"), weight = 1}}
    metadata:set("headgate.targets", "priority_groups", {{name = "0", clusters = clusters}})
  end
  if cluster then handle:headers():replace("x-headgate-cluster", cluster) end
  handle:clearRouteCache()
end
"""
ONE = {"x-cluster": "provider_it"}
SEVERAL_TARGETS = {"x-targets": "provider_it"}
WEBSOCKET = {"connection": "upgrade", "upgrade": "websocket"}


class Seen(BaseHTTPRequestHandler):
    """A provider that remembers what it was asked."""

    heads: list[dict[str, str]] = []  # noqa: RUF012 - one for all requests, on purpose

    def do_GET(self) -> None:
        self.heads.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def provider() -> Iterator[int]:
    """Its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Seen) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def url(provider: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    places, port = below(str(tmp_path_factory.mktemp("c")), ca_file=certifi.where()), free_port()
    path = Path(places.run_dir, "envoy.yaml")
    path.write_text(to_yaml(scripted(places, provider, port)))
    process = subprocess.Popen([find_envoy(), *arguments(str(path), threads=1), "--log-level", "error"])
    try:
        found = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx.get(found, verify=False))
        yield found
    finally:
        process.terminate()
        process.wait(10)


def scripted(places: Places, provider: int, port: int) -> dict[str, Any]:
    """An edge gateway with the script in the gate's place, and nobody behind the adapter."""
    providers = {**SEVERAL.providers, "it": Provider(dialect="openai", base_url=f"http://127.0.0.1:{provider}")}
    config = replace(SEVERAL, listener=Listener(address="127.0.0.1", port=port), providers=providers)
    text = json.dumps(compile_edge(config, places)).replace('"num_retries": 40', '"num_retries": 1')
    document: dict[str, Any] = json.loads(text)
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    lua = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": SCRIPT}}
    in_its_place = {"name": "script", "typed_config": lua}
    manager["http_filters"] = [in_its_place if one["name"] == names.GATE_FILTER else one for one in manager["http_filters"]]
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        route.get("typed_per_filter_config", {}).pop(names.GATE_FILTER, None)
    return document


def ask(url: str, headers: dict[str, str]) -> tuple[int, list[dict[str, str]]]:
    """The status, and what the provider saw of it."""
    Seen.heads.clear()
    return httpx.get(url, headers={"content-type": "application/json", **headers}, timeout=30, verify=False).status_code, Seen.heads


@pytest.mark.parametrize("kind", [{}, WEBSOCKET, {"content-type": "image/png"}])
@pytest.mark.parametrize("way", [{}, ONE, SEVERAL_TARGETS, {"x-headgate-cluster": "provider_it"}])
def test_what_the_gate_has_not_judged(url: str, kind: dict[str, str], way: dict[str, str]) -> None:
    assert ask(url, {**way, **kind}) == (503, [])


@pytest.mark.parametrize("idle", ["120", "upgrade", "77"])
def test_one_target(url: str, idle: str) -> None:
    status, (seen,) = ask(url, {**ONE, "x-say": f"idle={idle}"})
    assert status == 200
    assert names.CLUSTER_HEADER not in seen


@pytest.mark.parametrize("idle", ["120", "upgrade", "77"])
@pytest.mark.parametrize("kind", [{}, WEBSOCKET])
@pytest.mark.parametrize("more", [{}, ONE])
def test_several_targets_without_an_adapter_to_translate(url: str, idle: str, kind: dict[str, str], more: dict[str, str]) -> None:
    # With a silence that Envoy knows or not: never by a way round the adapter, which is not there.
    assert ask(url, {**SEVERAL_TARGETS, **more, **kind, "x-say": f"idle={idle},adapter=1"}) == (500, [])


@pytest.mark.parametrize("say", ["idle=120", "idle=upgrade", "idle=77", "adapter=1", "idle=120,adapter=0"])
def test_half_a_word_is_none(url: str, say: str) -> None:
    # Several targets that nobody would translate, or a single one that nobody names.
    assert ask(url, {**SEVERAL_TARGETS, "x-say": say}) == (503, [])
    assert ask(url, {"x-headgate-cluster": "provider_it", "x-say": say}) == (503, [])


def test_a_single_target_is_not_where_several_are_tried(url: str) -> None:
    assert ask(url, {**ONE, "x-say": "idle=120,adapter=1"}) == (503, [])
