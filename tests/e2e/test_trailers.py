"""A client's HTTP/2 trailers reach no provider, in whatever form the gateway stands."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from h2.connection import H2Connection

from extproc.envoy.places import Places
from tests.e2e.gateway import Gateway, chat
from tests.e2e.spoken_h2 import Provider, Said, ask
from tests.e2e.test_attach import HASH, KEY, Beside, pasted, theirs
from tests.e2e.upstream import Scripted

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
}
KEYED = {"x-api-key": KEY}
JSON = {"content-type": "application/json"}
TRAILERS = {"x-secret": "of-the-client", "authorization": "Bearer of-the-client", "x-checksum": "1"}
MODELS = {"one": ["p/m"], "two": ["fails/m", "p/m"]}


def answer(connection: H2Connection, stream: int, asked: Said) -> None:
    status = "503" if asked.headers[":path"].startswith("/fails") else "200"
    connection.send_headers(stream, [(":status", status), *JSON.items()])
    connection.send_data(stream, json.dumps(ANSWER if status == "200" else {"error": {"message": "no"}}).encode(), end_stream=True)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("tls"), answer) as running:
        yield running


def config(provider: Provider) -> dict[str, Any]:
    providers = {name: {"dialect": "openai", "base_url": f"{provider.url}/{name}/v1", "key": f"sk-{name}"} for name in ("p", "fails")}
    return {"providers": providers, "models": [{"name": name, "targets": targets} for name, targets in MODELS.items()]}


@pytest.fixture(scope="module", params=["edge", "attach"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[int]:
    """Of the gateway, and of somebody's Envoy that it is attached to."""
    if request.param == "edge":
        with Gateway(tmp_path_factory.mktemp("gateway"), config(provider), {"SSL_CERT_FILE": str(provider.trusted)}) as running:
            yield running.port
        return
    auth = {"keys": [{"name": "caller", "hash": HASH}]}
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, Scripted() as app:
        beside = Beside({**config(provider), "filters": [{"meter": {}}, {"auth": auth}, {"route": {}}]}, Path(folder))
        parts = beside.run("compile", "attach", "gateway.yaml", "--run-dir", folder)
        # On that Envoy's machine it is where its owner says.
        printed = yaml.safe_load(parts.replace(Places().ca_file, str(provider.trusted)))
        with beside.running(pasted(theirs(beside.port, app), printed)):
            yield beside.port


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [10, 50_000])
def test_they_are_taken_off(port: int, provider: Provider, model: str, size: int) -> None:
    provider.heard.clear()
    sent = json.dumps(chat("x" * size, model)).encode()
    told = ask(port, "/v1/chat/completions", sent, JSON | KEYED, TRAILERS)
    assert (told.headers[":status"], json.loads(told.body)["choices"][0]["message"]["content"]) == ("200", "Hi")
    assert len(provider.heard) == len(MODELS[model])
    for one in provider.heard:
        assert json.loads(one.body)["messages"][0]["content"] == "x" * size
        assert one.trailers is None
        assert one.headers["authorization"].startswith("Bearer sk-")


def test_also_of_what_is_not_read(port: int, provider: Provider) -> None:
    """Of a body that no filter buffers."""
    provider.heard.clear()
    ask(port, "/providers/p/v1/files", b"x" * 50_000, {"content-type": "application/octet-stream", **KEYED}, TRAILERS)
    (one,) = provider.heard
    assert (len(one.body), one.trailers) == (50_000, None)
