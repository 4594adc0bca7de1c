"""The operator's own parts of Envoy's configuration, at work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web

from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.test_auth import FILE_KEY, filters, hashed
from tests.e2e.upstream import Demo, Scripted

API = "type.googleapis.com/envoy.extensions"
CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


async def told(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"docs of {request.path}")


@pytest.fixture(scope="module")
def docs() -> Iterator[Scripted]:
    with Scripted(told) as running:
        yield running


def lua(name: str, code: str) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{API}.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": code}}}


def tcp(port: int) -> dict[str, Any]:
    forward = {"@type": f"{API}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "own", "cluster": "docs"}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": "own", "address": address, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": forward}]}]}


def fragments(docs: Scripted, port: int) -> dict[str, Any]:
    where = {"socket_address": {"address": "127.0.0.1", "port_value": docs.port}}
    members = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
    cluster = {"name": "docs", "type": "STATIC", "connect_timeout": "1s"}
    return {
        "clusters": [{**cluster, "load_assignment": {"cluster_name": "docs", "endpoints": members}}],
        "listeners": [tcp(port)],
        "http_filters": {
            "before_gate": [lua("my.answers", "function envoy_on_response(handle) handle:headers():add('x-theirs', 'seen') end")],
            "upstream": [lua("my.requests", "function envoy_on_request(handle) handle:headers():add('x-attempt', 'seen') end")],
        },
        "routes": "file:routes.yaml",
        "bootstrap": {"stats_flush_interval": "3s"},
    }


def routes(folder: Path, *prefixes: str) -> None:
    made = [{"match": {"prefix": prefix}, "route": {"cluster": "docs"}} for prefix in prefixes]
    fresh = folder / "routes.new"
    fresh.write_text(yaml.safe_dump(made))
    fresh.replace(folder / "routes.yaml")


def test_they_are_merged_and_change_with_a_reload(
    tmp_path: Path, config: dict[str, Any], docs: Scripted, openai_provider: Demo
) -> None:  # fmt: skip
    port = free_port()
    auth = filters(keys=[{"name": "ci", "hash": hashed(FILE_KEY), "tenant": "research"}])
    whole = {**config, "filters": auth, "envoy": fragments(docs, port)}
    routes(tmp_path, "/docs")
    good = {"authorization": f"Bearer {FILE_KEY}"}
    with Gateway(tmp_path, whole) as gateway:
        for model in ("demo", "o-then-a"):
            answer = CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model=model), headers=good)
            assert (answer.status_code, answer.headers["x-theirs"]) == (200, "seen")
        assert [dict(one["headers"])["x-attempt"] for one in openai_provider.requests()] == ["seen", "seen"]
        # Past the gate, without a key; all else needs one.
        assert CLIENT.get(f"{gateway.url}/docs/a").text == "docs of /docs/a"
        assert CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello")).status_code == 401
        assert CLIENT.get(f"http://127.0.0.1:{port}/b").text == "docs of /b"
        # Another route counts at once; what Envoy would refuse changes nothing, and is told with its path.
        assert CLIENT.get(f"{gateway.url}/more").status_code != 200
        routes(tmp_path, "/docs", "/more")
        gateway.until(lambda: CLIENT.get(f"{gateway.url}/more").status_code == 200, "the route is there", 60)
        whole["envoy"]["clusters"].append({"name": "wrong", "connect_timeout": "soon"})
        gateway.write(whole)
        told = "$.envoy.clusters[1]: Envoy refuses it"
        gateway.until(lambda: told in gateway.log.read_text(), "it is refused", 60)
        assert CLIENT.get(f"{gateway.url}/more").status_code == 200
        assert CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello"), headers=good).status_code == 200
