"""What no dialect knows passes through: uploads, files, unknown paths, WebSockets. Unbuffered and unread, but not unauthenticated.

To a provider of the client's dialect or the one that `x-headgate-provider` names, with that provider's credential and no other.
"""

import asyncio
import hashlib
import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web

from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Upstream

CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
KEY = "a-callers-key"
AUTH = {"authorization": f"Bearer {KEY}"}
PIECE = random.Random(1).randbytes(64 * 1024)
PIECES = 320  # 20 MiB


class Files(Upstream):
    """A provider that takes anything: it tells what it got, echoes WebSockets, and sends files."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._echo)
        app.router.add_get("/v1/files/{name}/content", self._file)
        app.router.add_route("*", "/{tail:.*}", self._take)
        super().__init__(app)
        self.seen: list[dict[str, Any]] = []
        self.under_way = 0

    def _note(self, request: web.Request) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append({"method": request.method, "path": request.path_qs, "headers": headers})
        return self.seen[-1]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        noted = self._note(request)
        digest, size = hashlib.sha256(), 0
        self.under_way = 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
            self.under_way = size
        noted.update(sha256=digest.hexdigest(), size=size)
        return web.json_response({"size": size, "method": request.method}, headers={"x-from-provider": "yes", "set-cookie": "a=b"})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        response = web.StreamResponse(headers={"content-type": "application/octet-stream", "content-length": str(PIECES * len(PIECE))})
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(PIECE)
        await response.write_eof()
        return response

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        sockets = web.WebSocketResponse(protocols=("realtime",))
        await sockets.prepare(request)
        async for received in sockets:
            if received.type is aiohttp.WSMsgType.TEXT:
                await sockets.send_str(received.data)
            elif received.type is aiohttp.WSMsgType.BINARY:
                await sockets.send_bytes(received.data)
        return sockets


@pytest.fixture(scope="module")
def files() -> Iterator[Files]:
    """The first provider in OpenAI's dialect."""
    with Files() as running:
        yield running


@pytest.fixture(scope="module")
def others() -> Iterator[Files]:
    """The only one in Anthropic's."""
    with Files() as running:
        yield running


@pytest.fixture(autouse=True)
def anew(files: Files, others: Files) -> None:
    """Each test sees its own requests."""
    files.seen.clear()
    others.seen.clear()


@pytest.fixture(scope="module")
def config(files: Files, others: Files) -> dict[str, Any]:
    """Two providers; a key is asked for."""
    key = {"name": "caller", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{files.url}/v1", "key": "sk-provider-o"},
            "a": {"dialect": "anthropic", "base_url": f"{others.url}/prefix/v1", "key": "sk-provider-a"},
        },
        "models": [{"name": "m", "targets": ["o"]}],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}, {"headers": {}}, {"cache": {}}],
        "limits": {"request_body": 64 * 1024},
    }


def upload() -> Iterator[bytes]:
    """20 MiB in pieces, as one part of a form."""
    yield b'--edge\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    yield from itertools.repeat(PIECE, PIECES)
    yield b"\r\n--edge--\r\n"


FORM = {"content-type": "multipart/form-data; boundary=edge"}
FORM_SIZE = sum(map(len, upload()))
FORM_HASH = hashlib.sha256(b"".join(upload())).hexdigest()


def memory(pid: int) -> int:
    """A process's peak of resident memory so far, in bytes (proc(5), VmHWM)."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads/upload_1/parts", "/v1/unknown"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_passes_unbuffered(gateway: Gateway, files: Files, path: str, chunked: bool) -> None:
    """20 MiB, far above `limits.request_body`: not a byte of it changes, and the worker never has it."""
    (worker,) = gateway.workers()
    before = memory(worker)
    length = {} if chunked else {"content-length": str(FORM_SIZE)}
    answer = CLIENT.post(gateway.url + path, content=upload(), headers={**AUTH, **FORM, **length})
    assert answer.json() == {"size": FORM_SIZE, "method": "POST"}
    (seen,) = files.seen
    assert (seen["path"], seen["sha256"], seen["size"]) == (path, FORM_HASH, FORM_SIZE)
    assert seen["headers"]["content-type"] == FORM["content-type"]
    assert seen["headers"].get("content-length") == length.get("content-length")
    assert memory(worker) - before < 2 * 1024 * 1024


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/chat/completions/", "/V1/Messages", "/v1/images/edits"]
)
def test_inference_does_not_pass_unread(gateway: Gateway, files: Files, others: Files, path: str) -> None:
    """Nobody gets models that are not configured, or tokens that are not counted, by writing a request otherwise."""
    answer = CLIENT.post(gateway.url + path, content=b"x", headers={**AUTH, **FORM})
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["message"]
    assert files.seen == others.seen == []


def test_an_upload_begins_at_the_provider_before_its_end(gateway: Gateway, files: Files) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw:
        head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: {FORM['content-type']}\r\n"
        raw.sendall(f"{head}Content-Length: {2 * len(PIECE)}\r\nConnection: close\r\n\r\n".encode() + PIECE)
        gateway.until(lambda: files.seen and files.under_way == len(PIECE), "the provider has the first half")
        raw.sendall(PIECE)
        assert b"200 OK" in b"".join(iter(lambda: raw.recv(4096), b""))


def test_a_large_file_comes_back_whole(gateway: Gateway) -> None:
    (worker,) = gateway.workers()
    before = memory(worker)
    digest = hashlib.sha256()
    with CLIENT.stream("GET", f"{gateway.url}/v1/files/f-1/content", headers=AUTH) as answer:
        assert int(answer.headers["content-length"]) == PIECES * len(PIECE)
        for chunk in answer.iter_bytes():
            digest.update(chunk)
    assert digest.digest() == hashlib.sha256(PIECE * PIECES).digest()
    assert memory(worker) - before < 2 * 1024 * 1024


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/files/f-1?limit=3&after=%2Fx%20y", "/v1/unknown/deeper", "/v1/batches?a=b&a=c"])
def test_unknown_paths_pass(gateway: Gateway, files: Files, method: str, path: str) -> None:
    body = b'{"any": "thing"}' if method in ("PUT", "PATCH", "POST") else None
    answer = CLIENT.request(method, gateway.url + path, content=body, headers={**AUTH, "accept-encoding": "gzip"})
    assert answer.json()["method"] == method
    assert answer.headers["x-from-provider"] == "yes"
    assert "set-cookie" not in answer.headers
    (seen,) = files.seen
    assert (seen["method"], seen["path"]) == (method, path)
    assert seen["sha256"] == hashlib.sha256(body or b"").hexdigest()
    assert seen["headers"]["authorization"] == "Bearer sk-provider-o"
    assert seen["headers"]["host"] == files.url.removeprefix("http://")
    assert KEY not in str(seen)


def test_the_clients_dialect_picks_the_provider(gateway: Gateway, files: Files, others: Files) -> None:
    CLIENT.get(f"{gateway.url}/v1/files", headers={"x-api-key": KEY, "anthropic-version": "2023-06-01"}).raise_for_status()
    CLIENT.get(f"{gateway.url}/v1/messages/batches", headers={"x-api-key": KEY}).raise_for_status()
    assert [seen["path"] for seen in others.seen] == ["/prefix/v1/files", "/prefix/v1/messages/batches"]
    assert others.seen[0]["headers"]["x-api-key"] == "sk-provider-a"
    assert "authorization" not in others.seen[0]["headers"]
    assert KEY not in str(others.seen)
    assert files.seen == []


def test_a_provider_may_be_named(gateway: Gateway, files: Files, others: Files) -> None:
    CLIENT.get(f"{gateway.url}/v1/files", headers={**AUTH, "x-headgate-provider": "a"}).raise_for_status()
    (seen,) = others.seen
    assert seen["headers"]["x-api-key"] == "sk-provider-a"
    assert "x-headgate-provider" not in seen["headers"]
    assert files.seen == []
    refused = CLIENT.get(f"{gateway.url}/v1/files", headers={**AUTH, "x-headgate-provider": "nobody"})
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "provider_not_found"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/v1/files", FORM),
        ("POST", "/v1/chat/completions", FORM),
        ("GET", "/v1/files/f-1/content", {}),
        ("DELETE", "/v1/files/f-1", {}),
        ("GET", "/v1/unknown", {"x-headgate-provider": "a"}),
        (
            "GET",
            "/v1/realtime",
            {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x" * 22 + "==", "sec-websocket-version": "13"},
        ),
    ],
)
def test_nothing_passes_without_a_key(
    gateway: Gateway, files: Files, others: Files, method: str, path: str, headers: dict[str, str]
) -> None:
    for key in ({}, {"authorization": "Bearer sk-provider-o"}):
        answer = CLIENT.request(method, gateway.url + path, headers={**headers, **key}, content=b"x" if method == "POST" else None)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] in ("missing_api_key", "invalid_api_key")
    assert files.seen == others.seen == []


async def talk(url: str, headers: dict[str, str], protocols: tuple[str, ...] = ()) -> tuple[list[str | bytes], str | None]:
    """What a WebSocket echoes, and its protocol."""
    sent: list[str | bytes] = ["Hello", PIECE, "x" * 100_000, ""]
    echoed: list[str | bytes] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers, protocols=protocols) as connection:
        for message in sent:
            await (connection.send_str(message) if isinstance(message, str) else connection.send_bytes(message))
            echoed.append((await connection.receive(10)).data)
    assert echoed == sent
    return echoed, connection.protocol


def test_a_websocket(gateway: Gateway, files: Files) -> None:
    url = f"ws://127.0.0.1:{gateway.port}/v1/realtime?model=m"
    asyncio.run(talk(url, {**AUTH, "openai-beta": "realtime=v1", "cookie": "session=caller-secret"}))
    (seen,) = files.seen
    assert seen["path"] == "/v1/realtime?model=m"
    assert seen["headers"]["authorization"] == "Bearer sk-provider-o"
    assert seen["headers"]["openai-beta"] == "realtime=v1"
    assert seen["headers"]["host"] == files.url.removeprefix("http://")
    assert KEY not in str(seen)
    assert "caller-secret" not in str(seen)


def test_a_browsers_websocket(gateway: Gateway, files: Files) -> None:
    """It can send no header but its protocols, and so OpenAI takes keys there."""
    url = f"ws://127.0.0.1:{gateway.port}/v1/realtime"
    _, protocol = asyncio.run(talk(url, {}, ("realtime", f"openai-insecure-api-key.{KEY}")))
    assert protocol == "realtime"
    (seen,) = files.seen
    assert seen["headers"]["sec-websocket-protocol"] == "realtime"
    assert seen["headers"]["authorization"] == "Bearer sk-provider-o"
    assert KEY not in str(seen)


def test_a_websocket_without_a_key(gateway: Gateway, files: Files) -> None:
    async def refused(headers: dict[str, str]) -> int:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await talk(f"ws://127.0.0.1:{gateway.port}/v1/realtime", headers)
        return error.value.status

    assert asyncio.run(refused({})) == 401
    assert asyncio.run(refused({"authorization": "Bearer nobody"})) == 401
    assert files.seen == []


def test_what_passed_is_in_the_ledger(gateway: Gateway) -> None:
    before = sum(row["requests"] for row in gateway.ledger())
    CLIENT.get(f"{gateway.url}/v1/files", headers=AUTH).raise_for_status()
    rows = gateway.ledger("key,provider", requests=before + 1)
    (row,) = [row for row in rows if (row["key"], row["provider"]) == ("caller", "o")]
    assert row["unmetered"] >= 1
