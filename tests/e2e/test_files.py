"""Files, batches and vector stores through the official SDKs: what names no model goes to the provider that is named.

And it is in the ledger, as a request of that provider.
"""

import hashlib
import io
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest
from aiohttp import web
from google import genai

from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted

KEY = "a-callers-key"
CONTENT = random.Random(4).randbytes(3 * 1024 * 1024)
SHA = hashlib.sha256(CONTENT).hexdigest()
TIME = "2026-01-01T00:00:00Z"


async def as_openai(request: web.Request) -> web.StreamResponse:
    """Files, batches and vector stores, as OpenAI answers: https://platform.openai.com/docs/api-reference/files."""
    file = {"id": "file-1", "object": "file", "bytes": 7, "created_at": 1, "filename": "f", "purpose": "batch", "status": "processed"}
    batch = {"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1", "created_at": 1}
    store = {
        "id": "vs_1", "object": "vector_store", "created_at": 1, "name": "n", "usage_bytes": 0, "last_active_at": 1, "status": "completed",
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
    }  # fmt: skip
    match request.method, request.path:
        case "GET", "/v1/files/file-1/content":
            return web.Response(body=CONTENT, content_type="application/octet-stream")
        case "GET", "/v1/files":
            return web.json_response({"object": "list", "data": [file], "has_more": False})
        case "DELETE", "/v1/files/file-1":
            return web.json_response({"id": "file-1", "object": "file", "deleted": True})
        case "POST", "/v1/batches":
            return web.json_response({**batch, "completion_window": "24h", "status": "validating"})
        case "POST", "/v1/vector_stores":
            return web.json_response(store)
    return web.json_response(file)


async def as_anthropic(request: web.Request) -> web.StreamResponse:
    """Files and batches, as Anthropic answers: https://docs.claude.com/en/api/files-create."""
    file = {
        "id": "file_1", "type": "file", "filename": "f", "mime_type": "text/plain", "size_bytes": 7, "created_at": TIME,
        "downloadable": False,
    }  # fmt: skip
    counts = {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
    batch = {
        "id": "msgbatch_1", "type": "message_batch", "processing_status": "ended", "request_counts": counts, "created_at": TIME,
        "expires_at": TIME, "ended_at": TIME, "cancel_initiated_at": None, "archived_at": None,
        "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
    }  # fmt: skip
    if request.path.endswith("/results"):
        line = {"custom_id": "a", "result": {"type": "canceled"}}
        return web.Response(text=json.dumps(line) + "\n", content_type="application/x-jsonl")
    return web.json_response(batch if "batches" in request.path else file)


class Google(Scripted):
    """Google's resumable uploads: https://ai.google.dev/gemini-api/docs/files."""

    def __init__(self) -> None:
        super().__init__(self._reply)

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        command = request.headers.get("x-goog-upload-command", "")
        if command == "start":
            there = f"{self.url}/upload/v1beta/files?upload_id=secret-1&upload_protocol=resumable"
            return web.json_response({}, headers={"x-goog-upload-url": there, "x-goog-upload-status": "active"})
        file = {"name": "files/f-1", "mimeType": "text/plain", "uri": f"{self.url}/v1beta/files/f-1", "state": "ACTIVE"}
        return web.json_response({"file": file}, headers={"x-goog-upload-status": "final"})


@pytest.fixture(scope="module")
def at_openai() -> Iterator[Scripted]:
    """The second provider in OpenAI's dialect."""
    with Scripted(as_openai) as running:
        yield running


@pytest.fixture(scope="module")
def at_anthropic() -> Iterator[Scripted]:
    """The only one in Anthropic's."""
    with Scripted(as_anthropic) as running:
        yield running


@pytest.fixture(scope="module")
def at_google() -> Iterator[Google]:
    """The only one in Google's."""
    with Google() as running:
        yield running


@pytest.fixture(scope="module")
def nobody() -> Iterator[Scripted]:
    """The first provider in OpenAI's dialect, which nobody here wants."""
    with Scripted(as_openai) as running:
        yield running


@pytest.fixture(autouse=True)
def anew(at_openai: Scripted, at_anthropic: Scripted, at_google: Scripted, nobody: Scripted) -> None:
    """Each test sees its own requests."""
    for provider in (at_openai, at_anthropic, at_google, nobody):
        for seen in (provider.bodies, provider.headers, provider.paths):
            seen.clear()


@pytest.fixture(scope="module")
def config(at_openai: Scripted, at_anthropic: Scripted, at_google: Google, nobody: Scripted) -> dict[str, Any]:
    """A provider of each dialect, and one more; a key is asked for."""
    key = {"name": "caller", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    return {
        "providers": {
            "first": {"dialect": "openai", "base_url": f"{nobody.url}/v1", "key": "sk-provider-first"},
            "o": {"dialect": "openai", "base_url": f"{at_openai.url}/v1", "key": "sk-provider-o"},
            "a": {"dialect": "anthropic", "base_url": f"{at_anthropic.url}/v1", "key": "sk-provider-a"},
            "g": {"dialect": "gemini", "base_url": f"{at_google.url}/v1beta", "key": "sk-provider-g"},
        },
        "models": [{"name": "m", "targets": ["o"]}],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}],
    }


def sdk_of_openai(gateway: Gateway, how: str) -> openai.OpenAI:
    """It says by a header, or by its base URL, which provider it means."""
    if how == "path":
        return openai_sdk(f"{gateway.url}/providers/o", KEY)
    return openai_sdk(gateway.url, KEY, default_headers={"x-headgate-provider": "o"})


@pytest.mark.parametrize("how", ["header", "path"])
def test_openai(gateway: Gateway, at_openai: Scripted, nobody: Scripted, how: str) -> None:
    with sdk_of_openai(gateway, how) as client:
        assert client.files.create(file=("f.jsonl", CONTENT), purpose="batch").id == "file-1"
        assert client.files.list().data[0].id == "file-1"
        assert hashlib.sha256(client.files.content("file-1").content).hexdigest() == SHA
        assert client.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h").id == "batch_1"
        assert client.vector_stores.create(name="n", file_ids=["file-1"]).id == "vs_1"
        assert client.files.delete("file-1").deleted
    assert at_openai.paths == ["/v1/files", "/v1/files", "/v1/files/file-1/content", "/v1/batches", "/v1/vector_stores", "/v1/files/file-1"]
    assert CONTENT in at_openai.bodies[0]
    assert {headers["authorization"] for headers in at_openai.headers} == {"Bearer sk-provider-o"}
    assert KEY not in str(at_openai.headers)
    assert nobody.paths == []


def test_anthropic(gateway: Gateway, at_anthropic: Scripted) -> None:
    with anthropic_sdk(gateway.url, KEY) as client:
        uploaded = client.beta.files.upload(file=("f.txt", CONTENT, "text/plain"))
        assert uploaded.id == "file_1"
        params: Any = {"model": "claude-4", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
        batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
        assert batch.request_counts.succeeded == 1
        with httpx.Client(base_url=gateway.url, headers={"x-api-key": KEY}, verify=False) as plain:
            assert plain.get("/v1/messages/batches/msgbatch_1/results").json()["custom_id"] == "a"
    assert [path.partition("?")[0] for path in at_anthropic.paths] == [
        "/v1/files",
        "/v1/messages/batches",
        "/v1/messages/batches/msgbatch_1/results",
    ]
    assert {headers["x-api-key"] for headers in at_anthropic.headers} == {"sk-provider-a"}


def test_google(gateway: Gateway, at_google: Google) -> None:
    """Its SDK asks where to send the file, and sends it there, without a key of its own."""
    with httpx.Client(verify=False) as transport:
        client = genai.Client(api_key=KEY, http_options=genai.types.HttpOptions(base_url=gateway.url, httpx_client=transport))
        uploaded = client.files.upload(file=io.BytesIO(CONTENT), config={"mime_type": "text/plain"})
    assert uploaded.name == "files/f-1"
    assert at_google.paths == ["/upload/v1/files", "/upload/v1beta/files?upload_id=secret-1&upload_protocol=resumable"]
    assert at_google.bodies[1] == CONTENT
    assert {headers["x-goog-api-key"] for headers in at_google.headers} == {"sk-provider-g"}
    assert KEY not in str((at_google.headers, at_google.paths))


def test_a_provider_of_another_dialect_is_named_in_the_path(gateway: Gateway, at_anthropic: Scripted) -> None:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}, verify=False) as plain:
        plain.get("/providers/a/v1/skills?limit=1").raise_for_status()
        assert plain.get("/providers/zzz/v1/skills").json()["error"]["code"] == "provider_not_found"
        assert plain.post("/providers/a/providers/o/v1/chat/completions", json={}).status_code == 404
        assert plain.post("/providers/a/v1/chat/completions", json={"model": "m"}).json()["error"]["code"] == "model_not_found"
    with httpx.Client(base_url=gateway.url, verify=False) as stranger:
        assert stranger.get("/providers/a/v1/skills").status_code == 401
    assert at_anthropic.paths == ["/v1/skills?limit=1"]


def test_each_is_in_the_ledger(gateway: Gateway, at_openai: Scripted) -> None:
    with sdk_of_openai(gateway, "path") as client:
        client.files.content("file-1").read()
        at_openai.handler = missing
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve("file-2")
    at_openai.handler = as_openai

    def rows() -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(gateway.state / "ledger.sqlite3", timeout=5)) as ledger:
            query = (
                "SELECT path, provider, key, status, metered, bytes_out FROM entries WHERE path LIKE '/v1/files/%' AND status IN (200, 404)"
            )
            return ledger.execute(query).fetchall()

    gateway.until(lambda: {row[3] for row in rows()} == {200, 404}, "both are in the ledger")
    assert ("/v1/files/file-2", "o", "caller", 404) in [row[:4] for row in rows()]
    assert any(row[:5] == ("/v1/files/file-1/content", "o", "caller", 200, 0) for row in rows())


async def missing(request: web.Request) -> web.StreamResponse:
    """There is no such file."""
    return web.json_response({"error": {"message": f"No such file at {request.path}", "code": "not_found"}}, status=404)
