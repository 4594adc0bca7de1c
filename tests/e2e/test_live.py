"""Realtime APIs over WebSockets, with the official SDKs: routed by the query's model, and counted: connections, bytes, time, tokens."""

import asyncio
import hashlib
import json
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import aiohttp
import httpx
import openai
import pytest
import trustme
from aiohttp import web
from google import genai

from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Upstream

KEY = "a-callers-key"
USED = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {"text_tokens": 19, "audio_tokens": 13, "cached_tokens": 100},
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
LIVE_USED = {
    "promptTokenCount": 40,
    "responseTokenCount": 60,
    "totalTokenCount": 100,
    "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 10}],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
}


class Talker(Upstream):
    """Answers `response.create` as OpenAI does, and any turn as Google does."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._openai)
        app.router.add_get("/ws/{service}", self._google)
        app.router.add_get("/v1/unknown", self._echo)
        app.router.add_get("/moved/{tail:.*}", self._moved)
        super().__init__(app)
        self.seen: list[tuple[str, dict[str, str]]] = []

    async def _open(self, request: web.Request) -> web.WebSocketResponse:
        self.seen.append((request.path_qs, {name.lower(): value for name, value in request.headers.items()}))
        sockets = web.WebSocketResponse(protocols=("realtime",), compress=True)
        await sockets.prepare(request)
        return sockets

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        sockets = await self._open(request)
        await sockets.send_json({"type": "session.created", "event_id": "e0", "session": {"type": "realtime"}})
        async for message in sockets:
            if message.json()["type"] == "response.create":
                said = {"type": "response.output_audio_transcript.delta", "delta": 'She said "response.done"'}
                await sockets.send_json(
                    said | {"event_id": "e1", "content_index": 0, "item_id": "i", "output_index": 0, "response_id": "r"}
                )
                response = {"id": "r", "object": "realtime.response", "status": "completed", "output": [], "usage": USED}
                await sockets.send_json({"type": "response.done", "event_id": "e2", "response": response})
        return sockets

    async def _google(self, request: web.Request) -> web.StreamResponse:
        sockets = await self._open(request)
        async for message in sockets:
            answer = {"serverContent": {"modelTurn": {"parts": [{"text": "Hello"}]}, "turnComplete": True}, "usageMetadata": LIVE_USED}
            # Google sends JSON as bytes.
            await sockets.send_bytes(json.dumps({"setupComplete": {}} if "setup" in message.json() else answer).encode())
        return sockets

    async def _moved(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": "http://elsewhere.test/", "set-cookie": "a=b"}, text="over there")

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        sockets = await self._open(request)
        async for message in sockets:
            await sockets.send_str(message.data)
        return sockets


@pytest.fixture(scope="module")
def talker() -> Iterator[Talker]:
    """The provider."""
    with Talker() as running:
        yield running


@pytest.fixture(autouse=True)
def anew(talker: Talker) -> None:
    """Each test sees its own requests."""
    talker.seen.clear()


@pytest.fixture(scope="module")
def config(talker: Talker) -> dict[str, Any]:
    """One provider in two dialects; a key is asked for."""
    key = {"name": "caller", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{talker.url}/v1", "key": "sk-provider-o"},
            "moved": {"dialect": "openai", "base_url": f"{talker.url}/moved/v1", "key": "sk-provider-o"},
            "g": {"dialect": "gemini", "base_url": f"{talker.url}/v1beta", "key": "sk-provider-g"},
        },
        "models": [
            {"name": "voice", "targets": ["o/gpt-realtime&mini", "o/never"]},
            {"name": "gpt-*", "targets": ["o"]},
            {"name": "moved", "targets": ["moved"]},
            {"name": "gemini-*", "targets": ["g"]},
        ],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}],
    }


def entry(gateway: Gateway, since: float, **least: float) -> dict[str, Any]:
    """The ledger's newest entry that began after `since`, once it has at least so much of something."""
    found: list[dict[str, Any]] = []

    def told() -> bool:
        with closing(sqlite3.connect(gateway.state / "ledger.sqlite3", timeout=5)) as ledger:
            ledger.row_factory = sqlite3.Row
            rows = ledger.execute("SELECT * FROM entries WHERE time >= ? ORDER BY time DESC", (since,)).fetchall()
            found[:] = [dict(row) for row in rows if all(row[name] >= value for name, value in least.items())]
        return bool(found)

    gateway.until(told, "the connection is in the ledger")
    return found[0]


def test_openai(gateway: Gateway, talker: Talker) -> None:
    async def talk() -> list[str]:
        async with (
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client,
            client.realtime.connect(model="voice", extra_query={"x": "a b"}) as connection,
        ):
            types: list[str] = [(await connection.recv()).type]
            for _ in range(2):
                await connection.response.create()
                types += [(await connection.recv()).type, (await connection.recv()).type]
            assert gateway.metrics()["ai_proxy_websockets_open"] == 1
            return types

    since = time.time()
    types = asyncio.run(talk())
    assert types == ["session.created", *["response.output_audio_transcript.delta", "response.done"] * 2]
    ((path, headers),) = talker.seen
    assert path == "/v1/realtime?model=gpt-realtime%26mini&x=a+b"
    assert headers["authorization"] == "Bearer sk-provider-o"
    assert KEY not in str(talker.seen)
    row = entry(gateway, since, bytes_in=1)
    assert (row["model"], row["target"], row["provider"], row["key"]) == ("voice", "gpt-realtime&mini", "o", "caller")
    assert (row["status"], row["outcome"], row["metered"], row["estimated"]) == (101, "complete", 1, 0)
    assert (row["input"], row["input_audio"], row["cache_read"], row["output"], row["output_audio"]) == (264, 26, 200, 242, 182)
    assert row["bytes_out"] > 500
    gateway.until(lambda: gateway.metrics()["ai_proxy_websockets_open"] == 0, "it is closed")


def test_google(gateway: Gateway, talker: Talker) -> None:
    async def talk() -> Any:
        async with encrypted(gateway.port) as (url, trust):
            options = genai.types.HttpOptions(base_url=url, api_version="v1beta", async_client_args={"ssl": trust})
            client = genai.Client(api_key=KEY, http_options=options)
            wanted = genai.types.LiveConnectConfig(response_modalities=[genai.types.Modality.TEXT])
            async with client.aio.live.connect(model="gemini-live", config=wanted) as session:
                await session.send_client_content(turns={"parts": [{"text": "Hello"}]})
                return [message.text async for message in session.receive()]

    since = time.time()
    assert asyncio.run(talk()) == ["Hello"]
    ((path, headers),) = talker.seen
    assert path == "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    assert headers["x-goog-api-key"] == "sk-provider-g"
    assert KEY not in str(talker.seen)
    row = entry(gateway, since, bytes_in=1)
    assert (row["provider"], row["input"], row["input_audio"], row["output"], row["output_audio"]) == ("g", 40, 30, 60, 60)


@asynccontextmanager
async def encrypted(port: int) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """A load balancer that ends TLS before `port`: Google's SDK speaks no WebSocket without. Its URL, and what trusts it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=server) as running:
        yield f"https://127.0.0.1:{running.sockets[0].getsockname()[1]}", client


async def connect(url: str, *messages: str, protocols: tuple[str, ...] = (), **headers: str) -> list[str]:
    """A WebSocket's answers, one to each message."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers, protocols=protocols, compress=15) as connection:
        for message in messages:
            await connection.send_str(message)
        return [str((await connection.receive(10)).data) for _ in messages]


def test_any_other_websocket_is_measured_by_envoy(gateway: Gateway) -> None:
    since = time.time()
    url = f"ws://127.0.0.1:{gateway.port}/v1/unknown"
    assert asyncio.run(connect(url, "Hello", "x" * 100_000, authorization=f"Bearer {KEY}")) == ["Hello", "x" * 100_000]
    row = entry(gateway, since, bytes_in=10)
    assert (row["path"], row["metered"], row["outcome"]) == ("/v1/unknown", 0, "complete")
    assert row["bytes_out"] > 10


def test_a_browsers_key_stays_here(gateway: Gateway, talker: Talker) -> None:
    url = f"ws://127.0.0.1:{gateway.port}/v1/realtime?model=gpt-realtime"
    asyncio.run(connect(url, '{"type":"response.create"}', protocols=("realtime", f"openai-insecure-api-key.{KEY}")))
    ((path, headers),) = talker.seen
    assert path == "/v1/realtime?model=gpt-realtime"
    assert headers["sec-websocket-protocol"] == "realtime"
    # What is compressed could not be counted.
    assert "sec-websocket-extensions" not in headers
    assert KEY not in str(talker.seen)


def test_azures_clients_name_a_deployment(gateway: Gateway, talker: Talker) -> None:
    url = f"ws://127.0.0.1:{gateway.port}/openai/realtime?api-version=2024-10-01-preview&deployment=voice&x=1"
    asyncio.run(connect(url, '{"type":"response.create"}', authorization=f"Bearer {KEY}"))
    assert talker.seen[0][0] == "/v1/realtime?model=gpt-realtime%26mini&x=1"


def test_nobody_is_led_elsewhere(gateway: Gateway) -> None:
    """The SDK would follow a redirect, with the caller's key."""
    since, asked = (
        time.time(),
        {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA=="},
    )
    headers = {"authorization": f"Bearer {KEY}", **asked}
    answer = httpx.get(f"{gateway.url}/v1/realtime?model=moved", headers=headers, verify=False, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "gateway_error")
    assert "location" not in answer.headers and "set-cookie" not in answer.headers
    found = entry(gateway, since)
    assert (found["outcome"], found["status"], found["error"]) == ("error", 502, "websocket_handshake_unsuccessful")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/realtime?model=nobody", 404),
        ("/v1/realtime?model=gemini-live", 404),
        ("/v1/realtime?model=gpt-a&model=gpt-b", 404),
        ("/v1/realtime?model=gpt-a&mode%6C=gpt-b", 404),
        ("/V1/realtime?model=gpt-a", 404),
        ("/v1/realtime/?model=gpt-a", 404),
        ("/v1/realtime?model=", 404),
        ("/v1/realtime?model=gpt-a&deployment=gpt-b", 404),
    ],
)
def test_models_that_are_not_to_be_had(gateway: Gateway, talker: Talker, path: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        asyncio.run(connect(f"ws://127.0.0.1:{gateway.port}{path}", authorization=f"Bearer {KEY}"))
    assert error.value.status == status
    assert talker.seen == []
