"""A provider that streams though nobody asked for it, and perhaps without an end: whoever asked is told so, or the next target is asked."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo, Scripted


@pytest.fixture(scope="module")
def endless() -> Iterator[Scripted]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if request.path.startswith("/silent"):
            await asyncio.sleep(30)
        await response.write(b'data: {"choices":[{"index":0,"delta":{"content":"')
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"x" * 16384)
            await asyncio.sleep(0.01)
        return response

    with Scripted(answer) as running:
        yield running


@pytest.fixture(scope="module")
def config(endless: Scripted, openai_provider: Demo) -> dict[str, Any]:
    providers = {
        "e": {"dialect": "openai", "base_url": f"{endless.url}/v1"},
        "f": {"dialect": "openai", "base_url": f"{endless.url}/v1"},
        "s": {"dialect": "openai", "base_url": f"{endless.url}/silent/v1"},
        "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1"},
    }
    models = {"alone": ["e/m"], "last": ["e/m", "f/m"], "helped": ["e/m", "o/m"], "spared": ["s/m", "o/m"]}
    return {"providers": providers, "models": [{"name": name, "targets": targets} for name, targets in models.items()]}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_it_is_no_answer(gateway: Gateway, path: str) -> None:
    for model in ("alone", "last", "helped", "spared"):
        body = (message if path == "/v1/messages" else chat)("Hello", model)
        answer = httpx.post(gateway.url + path, json=body, timeout=25, verify=False)
        if model in ("helped", "spared"):
            assert answer.status_code == 200
            continue
        assert (answer.status_code, answer.headers["content-type"]) == (502, "application/json"), model
        told = json.loads(answer.content)["error"]
        assert "where none was asked for" in told["message"]
        assert told["type"] == ("api_error" if path == "/v1/messages" else "server_error")
