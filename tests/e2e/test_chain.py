"""A chain of three providers of three dialects, of which two fail: what each of them is sent, whole and streamed, and what is charged.

Each attempt is the original request anew: its provider's path, host, credential and body, and nothing of another one's.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from aiohttp import web

from bench.faults import words
from tests.e2e.books import entry
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Scripted

CALLERS = {"authorization": "Bearer sk-of-the-caller", "x-api-key": "sk-of-the-caller", "x-stainless-lang": "python"}
KEYS = {"one": "sk-one", "two": "sk-two", "three": "sk-three"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MAKE = {"openai": chat, "anthropic": message}
MARKER = "marker-chain-1"
TEXT = f"Say {MARKER}."
SSE = {"content-type": "text/event-stream"}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Scripted]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Scripted()) for name in KEYS}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Scripted]) -> Iterator[Gateway]:
    kinds = {"one": ("openai", "/v1"), "two": ("gemini", "/v1beta"), "three": ("anthropic", "/v1")}
    config = {
        "providers": {
            name: {"dialect": dialect, "base_url": providers[name].url + path, "key": KEYS[name]} for name, (dialect, path) in kinds.items()
        },
        "models": [{"name": "chain", "targets": ["one/first", "two/second", "three/third"]}],
        # Each test has them fail anew.
        "breaker": {"failures": 10_000, "cool": 0},
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(providers: dict[str, Scripted]) -> None:
    for provider in providers.values():
        for seen in (provider.bodies, provider.headers, provider.paths):
            seen.clear()


async def third(request: web.Request) -> web.StreamResponse:
    """A good answer."""
    if not (await request.json()).get("stream"):
        return web.Response(body=words.whole("anthropic", MARKER), content_type="application/json")
    return await streamed(request, *words.stream("anthropic", MARKER))


async def streamed(request: web.Request, *events: bytes, cut: bool = False) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE)
    await response.prepare(request)
    for event in events:
        await response.write(event)
    if cut:
        assert request.transport is not None
        request.transport.abort()
    return response


def script(providers: dict[str, Scripted], one: Any, two: Any) -> None:
    for name, handler in (("one", one), ("two", two), ("three", third)):
        providers[name].handler = handler


def only(provider: Scripted) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Path, headers and body of the only request that a provider has had."""
    assert len(provider.paths) == 1
    assert int(provider.headers[0]["content-length"]) == len(provider.bodies[0])
    return provider.paths[0], provider.headers[0], json.loads(provider.bodies[0])


def check_attempts(providers: dict[str, Scripted], dialect: str, *, stream: bool) -> None:
    """Path, host, credential and body of each."""
    path, headers, body = only(providers["one"])
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-one")
    assert (body["model"], body.get("stream", False), body["messages"]) == ("first", stream, [{"role": "user", "content": TEXT}])
    path, headers, body = only(providers["two"])
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert (path, headers["x-goog-api-key"]) == (f"/v1beta/models/second:{verb}", "sk-two")
    assert body["contents"] == [{"role": "user", "parts": [{"text": TEXT}]}]
    assert {"model", "messages", "stream"}.isdisjoint(body)
    path, headers, body = only(providers["three"])
    assert (path, headers["x-api-key"], headers["anthropic-version"]) == ("/v1/messages", "sk-three", "2023-06-01")
    assert (body["model"], body.get("stream", False)) == ("third", stream)
    (said,) = body["messages"]
    assert said["content"] in (TEXT, [{"type": "text", "text": TEXT}])
    for name, provider in providers.items():
        (seen,) = provider.headers
        assert seen["host"] == f"127.0.0.1:{provider.port}"
        others = {"sk-of-the-caller", *KEYS.values()} - {KEYS[name]}
        assert not [value for value in seen.values() if any(other in value for other in others)]
        credentials = {"authorization", "x-api-key", "x-goog-api-key"} & seen.keys()
        assert len(credentials) == 1


def ask(gateway: Gateway, dialect: str, *, stream: bool, seen: threading.Event | None = None) -> tuple[httpx.Response, str]:
    """The answer, and what came of it before it was cut, if it was. `seen`: is set when the marker is there."""
    text = ""
    with httpx.stream(
        "POST", gateway.url + PATHS[dialect], json=MAKE[dialect](TEXT, "chain", stream=stream), headers=CALLERS, verify=False, timeout=20
    ) as answer:
        try:
            for piece in answer.iter_text():
                text += piece
                if seen is not None and MARKER in text:
                    seen.set()
        except httpx.RemoteProtocolError:
            text += " CUT"
    return answer, text


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_429_then_503_then_an_answer(gateway: Gateway, providers: dict[str, Scripted], dialect: str, stream: bool) -> None:
    async def limited(request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, body=words.error("openai", 429), content_type="application/json", headers={"retry-after": "9"})

    async def overloaded(request: web.Request) -> web.StreamResponse:
        return web.json_response(OVERLOADED, status=503)

    script(providers, limited, overloaded)
    answer, text = ask(gateway, dialect, stream=stream)
    assert answer.status_code == 200
    assert MARKER in text
    check_attempts(providers, dialect, stream=stream)
    check_books(gateway, answer)
    told = re.sub(r";ms=\d+", "", answer.headers["x-headgate-attempts"])
    assert [one.partition(";")[0] for one in told.split(", ")] == ["one/first", "two/second", "three/third"]
    assert "status=429" in told and "status=503" in told
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_that_dies_and_one_that_begins_with_an_error(gateway: Gateway, providers: dict[str, Scripted], dialect: str) -> None:
    async def dies(request: web.Request) -> web.StreamResponse:
        return await streamed(request, cut=True)

    async def begins_with_an_error(request: web.Request) -> web.StreamResponse:
        return await streamed(request, b"data: %b\r\n\r\n" % words.encoded(OVERLOADED))

    script(providers, dies, begins_with_an_error)
    answer, text = ask(gateway, dialect, stream=True)
    assert answer.status_code == 200
    assert text.count(MARKER) == 1
    assert "overloaded" not in text.lower() and "error" not in text and "CUT" not in text
    assert text.rstrip().endswith("data: [DONE]" if dialect == "openai" else '{"type":"message_stop"}')
    check_attempts(providers, dialect, stream=True)
    check_books(gateway, answer)


def check_books(gateway: Gateway, answer: httpx.Response) -> None:
    """The last one's answer is charged, and nobody else's."""
    booked = entry(gateway, answer.headers["x-request-id"])
    assert (booked["provider"], booked["target"], booked["attempts"]) == ("three", "third", 3)
    assert (booked["outcome"], booked["partial"], booked["input"], booked["output"]) == ("complete", 0, words.INPUT, words.OUTPUT)
    assert [(one["provider"], one.get("status", 0)) for one in json.loads(booked["tried"])][-1] == ("three", 200)


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("way", ["error", "end", "reset"])
def test_after_its_first_event_a_stream_is_its_providers(gateway: Gateway, providers: dict[str, Scripted], dialect: str, way: str) -> None:
    """Nobody else is asked, the client is told as its dialect can, and charged what it was delivered."""
    seen = threading.Event()

    async def fails_later(request: web.Request) -> web.StreamResponse:
        response = await streamed(request, *words.stream("openai", MARKER)[:3])
        # When the client has it, nobody can take it back.
        await asyncio.to_thread(seen.wait, 10)
        if way == "error":
            await response.write(words.error_event("openai"))
        if way == "reset":
            assert request.transport is not None
            request.transport.abort()
        return response

    script(providers, fails_later, third)
    answer, text = ask(gateway, dialect, stream=True, seen=seen)
    assert not providers["two"].paths and not providers["three"].paths
    assert (answer.status_code, text.count(MARKER)) == (200, 1)
    # Nothing can be said any more on a connection that was reset.
    assert text.count('"error":') == (way != "reset")
    assert ("CUT" in text) == (way == "reset")
    # OpenAI's clients read on until then, an error or not.
    assert ("[DONE]" in text) == (way == "end" and dialect == "openai")
    assert "message_stop" not in text
    booked = entry(gateway, answer.headers["x-request-id"])
    assert (booked["provider"], booked["attempts"], booked["outcome"], booked["partial"]) == ("one", 1, "provider_broke", 1)
    # The marker and two words, at four bytes a token.
    assert 4 <= booked["output"] <= 12
    assert booked["input"] > 0
