"""Providers inside clouds, as the catalogue has them: what an attempt makes of a request for each."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from extproc.attempt import Attempt, Outgoing
from extproc.call import Call
from extproc.config.load import load
from extproc.dialects import DIALECTS
from extproc.endpoints import endpoint
from extproc.upstream import compile_upstream
from extproc.values import Target
from tests.scene import head

ENVIRON = {
    "GOOGLE_CLOUD_PROJECT": "p-1",
    "TOKEN": "ya29.t",
    "AZURE_RESOURCE_NAME": "res",
    "AZURE_API_KEY": "az-key",
}
VERTEX = "/v1/projects/p-1/locations/us-east5/publishers/anthropic/models/"


def sent(
    folder: Path, entry: str, path: str, body: Any, model: str = "their-name", more: str = "{key: env:TOKEN}"
) -> tuple[Outgoing, Attempt]:
    """What becomes of a client's request for `our-name` at an entry of the catalogue, whose section says `more`."""
    file = folder / "gateway.yaml"
    file.write_text(f"providers:\n  {entry}: {more}\nmodels:\n- {{name: x, targets: [{entry}]}}\n")
    loaded = load(file, ENVIRON)
    assert loaded.config is not None, loaded.problems
    seen = head(path)
    asked = endpoint("POST", path, seen)
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    said = msgspec.json.decode(raw)
    call = Call(
        id="r-1", generation="g", dialect=asked.dialect, kind=asked.kind, path=path, headers={}, targets=(Target(entry, model),),
        model="our-name", stream=bool(asked.stream if asked.model else said.get("stream")), named=bool(asked.model), rest=asked.rest,
    )  # fmt: skip
    made = Attempt(call, Target(entry, model), compile_upstream(entry, loaded.config.providers[entry]), 1 << 20)
    return made.outgoing(seen, raw, ruled=()), made


@pytest.mark.parametrize(
    ("path", "body", "at", "expected"),
    [
        (
            "/v1/messages?beta=true",
            b'{"model": "our-name", "max_tokens": 1.50, "messages": []}',
            "claude%40001:rawPredict",
            b'{"max_tokens": 1.50, "messages": [],"anthropic_version":"vertex-2023-10-16"}',
        ),
        (
            "/v1/messages",
            b'{"messages": [ ], "stream":true, "model":"our-name"}',
            "claude%40001:streamRawPredict",
            b'{"messages": [ ], "stream":true,"anthropic_version":"vertex-2023-10-16"}',
        ),
        (
            "/v1/messages",
            b'{"anthropic_version":"mine","model":"our-name"}',
            "claude%40001:rawPredict",
            b'{"anthropic_version":"vertex-2023-10-16"}',
        ),
        (
            "/v1/messages/count_tokens",
            b'{"model": "our-name", "messages": []}',
            "count-tokens:rawPredict",
            b'{"model": "claude@001", "messages": [],"anthropic_version":"vertex-2023-10-16"}',
        ),
    ],
)
def test_anthropic_s_clients_at_vertex(tmp_path: Path, path: str, body: bytes, at: str, expected: bytes) -> None:
    outgoing, made = sent(tmp_path, "vertex-anthropic", path, body, "claude@001")
    assert outgoing.headers[":path"] == VERTEX + at
    assert outgoing.headers[":authority"] == "us-east5-aiplatform.googleapis.com"
    assert outgoing.headers["authorization"] == "Bearer ya29.t"
    assert outgoing.body == expected, "every other byte is the client's"
    assert outgoing.headers["content-length"] == str(len(expected))
    assert made.dropped == []


@pytest.mark.parametrize("dialect", ["openai", "responses", "gemini", "cohere", "ollama", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
def test_other_clients_at_vertex_s_claude(tmp_path: Path, dialect: str, stream: bool) -> None:
    asked = DIALECTS["anthropic"].read_request(
        {"model": "our-name", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    )
    spoken = DIALECTS[dialect]
    body = spoken.write_request(asked, "our-name")
    place = next(place for place in spoken.places if place.kind == "chat" and place.streams(stream))
    body |= {"stream": True} if stream else {}
    outgoing, made = sent(tmp_path, "vertex-anthropic", place.path.replace("{model}", "our-name"), body, "claude@001")
    assert outgoing.headers[":path"] == VERTEX + ("claude%40001:streamRawPredict" if stream else "claude%40001:rawPredict")
    written = msgspec.json.decode(outgoing.body or b"")
    assert bool(written.pop("stream", False)) == stream
    assert written == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert made.dropped == []


def test_gemini_at_vertex(tmp_path: Path) -> None:
    body = b'{"contents": [{"parts": [{"text": "Hi"}]}]}'
    more = "{key: env:TOKEN, settings: {region: global, host: aiplatform.googleapis.com}}"
    outgoing, _ = sent(tmp_path, "vertex", "/v1beta/models/our-name:streamGenerateContent?alt=sse&x=1", body, "gemini-3", more)
    assert outgoing.headers[":authority"] == "aiplatform.googleapis.com"
    at = "/v1/projects/p-1/locations/global/publishers/google/models/gemini-3:streamGenerateContent?alt=sse&x=1"
    assert outgoing.headers[":path"] == at
    assert outgoing.body is None


@pytest.mark.parametrize(
    ("entry", "at", "named"),
    [
        ("vertex-openai", "/v1/projects/p-1/locations/us-central1/endpoints/openapi/chat/completions", "meta/llama-4"),
        ("vertex-mistral", "/v1/projects/p-1/locations/us-central1/publishers/mistralai/models/meta%2Fllama-4:rawPredict", "meta/llama-4"),
    ],
)
def test_others_at_vertex(tmp_path: Path, entry: str, at: str, named: str) -> None:
    body = b'{"model":"our-name","messages":[],"x":1.0}'
    outgoing, _ = sent(tmp_path, entry, "/v1/chat/completions", body, "meta/llama-4")
    assert outgoing.headers[":path"] == at
    assert outgoing.body == body.replace(b"our-name", named.encode())


@pytest.mark.parametrize(
    ("entry", "path", "at", "key"),
    [
        ("azure-deployments", "/v1/chat/completions", "/openai/deployments/mine/chat/completions?api-version=2024-10-21", "api-key"),
        ("azure-deployments", "/v1/completions", "/openai/deployments/mine/completions?api-version=2024-10-21", "api-key"),
        ("azure-deployments", "/v1/embeddings", "/openai/deployments/mine/embeddings?api-version=2024-10-21", "api-key"),
        ("azure-deployments", "/v1/images/generations", "/openai/deployments/mine/images/generations?api-version=2024-10-21", "api-key"),
        ("azure-deployments", "/v1/audio/speech", "/openai/deployments/mine/audio/speech?api-version=2024-10-21", "api-key"),
        ("azure-deployments", "/v1/responses", "/openai/v1/responses", "api-key"),
        ("azure-deployments", "/v1/responses/compact", "/openai/v1/responses/compact", "api-key"),
        ("azure-deployments", "/v1/responses/input_tokens", "/openai/v1/responses/input_tokens", "api-key"),
        ("azure-openai", "/v1/chat/completions", "/openai/v1/chat/completions", "api-key"),
        ("azure-openai", "/v1/responses", "/openai/v1/responses", "api-key"),
        ("azure-openai", "/v1/embeddings", "/openai/v1/embeddings", "api-key"),
        ("azure-openai", "/v1/images/generations", "/openai/v1/images/generations", "api-key"),
        ("azure-openai", "/v1/audio/speech", "/openai/v1/audio/speech", "api-key"),
    ],
)
def test_azure(tmp_path: Path, entry: str, path: str, at: str, key: str) -> None:
    body = b'{"model":"our-name", "input":[]}'
    outgoing, _ = sent(tmp_path, entry, path, body, "mine", "{}")
    assert (outgoing.headers[":authority"], outgoing.headers[":path"]) == ("res.openai.azure.com", at)
    assert outgoing.headers["api-key"] == "az-key"
    assert outgoing.body in (None, body.replace(b"our-name", b"mine"))
    assert outgoing.body is not None or "/deployments/" in at, "the model is named, here or there"
    entra, _ = sent(tmp_path, entry, path, body, "mine", "{auth: bearer, key: env:TOKEN}")
    assert entra.headers["authorization"] == "Bearer ya29.t"
    assert "api-key" not in entra.headers
