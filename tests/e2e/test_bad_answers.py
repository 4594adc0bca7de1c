"""A 200 that is no answer, or a 204: the next target is asked, whatever the endpoint, and the last one's is the error that it is."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from aiohttp import web

from tests.e2e.books import collected
from tests.e2e.clients import anthropic_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
COMPLETION = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
AUDIO = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(range(256))
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}

ENDPOINTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, COMPLETION),
    "embeddings": ("/v1/embeddings", {"input": "Hi"}, {"object": "list", "model": "m", "data": [{"index": 0, "embedding": [0.5]}]}),
    "moderations": ("/v1/moderations", {"input": "Hi"}, {"id": "modr-1", "model": "m", "results": [{"flagged": False}]}),
    "images": ("/v1/images/generations", {"prompt": "Hi"}, {"created": 1, "data": [{"url": "https://images.test/1"}]}),
    "speech": ("/v1/audio/speech", {"input": "Hi", "voice": "alloy"}, AUDIO),
    "invoke": ("/model/MODEL/invoke", CLAUDE, MESSAGE),
}
"""What is asked where, and what is a good answer."""

LIMITED = {"error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
MISNAMED = ("text/plain", json.dumps(COMPLETION).encode())
BAD: dict[str, tuple[str, bytes]] = {
    "error": ("application/json", json.dumps(LIMITED).encode()),
    "message": ("application/json", b'{"message":"no healthy upstream"}'),
    "page": ("text/html", b"<html><title>Log in</title></html>"),
    "cut": ("application/json", b'{"id":"c","data":['),
    "none": ("application/json", b""),
    "text": ("text/plain", b"upstream unavailable"),
    "bodiless": ("", b""),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """Answers as the model's name says: `good`, or something of `BAD`, of a known length, in one write or (`-halves`) two, or (`-pieces`)
    not.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        if request.path.endswith("/count_tokens"):
            return _nobody_counts(said["model"])
        model = request.path.split("/")[2] if request.path.startswith("/model/") else said["model"]
        name, _, form = model.rpartition(".")[2].partition("-")
        if name == "bodiless":
            return web.Response(status=204)
        good = next(answer for path, _, answer in ENDPOINTS.values() if path.rpartition("/")[2] == request.path.rpartition("/")[2])
        known = {**BAD, "misnamed": MISNAMED}
        kind, body = known.get(name) or (
            ("audio/mpeg", good) if isinstance(good, bytes) else ("application/json", json.dumps(good).encode())
        )
        if form not in ("pieces", "halves"):
            return web.Response(body=body, content_type=kind)
        response = web.StreamResponse(headers={"content-type": kind})
        if form == "halves":
            response.content_length = len(body)
            await response.prepare(request)
            for half in (body[: len(body) // 2], body[len(body) // 2 :]):
                await response.write(half)
                # So that the last bytes, most times, have a message of their own.
                await asyncio.sleep(0.02)
            await response.write_eof()
            return response
        await response.prepare(request)
        for begin in range(0, len(body), 20):
            await response.write(body[begin : begin + 20])
        await response.write_eof()
        return response

    with Scripted(answer) as running:
        yield running


def _nobody_counts(model: str) -> web.Response:
    if model == "gone":
        missing = {"type": "error", "error": {"type": "not_found_error", "message": "model: gone"}}
        return web.json_response(missing, status=404)
    return web.Response(status=404) if model == "bare" else web.json_response({"detail": "Not Found"}, status=404)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted) -> Iterator[Gateway]:
    config = {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "sk-o"},
            "p": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "sk-p"},
            "a": {"dialect": "anthropic", "base_url": f"{provider.url}/v1", "key": "sk-a"},
            "z": {"dialect": "anthropic", "base_url": f"{provider.url}/v1", "key": "sk-z"},
            "b": {"dialect": "bedrock", "base_url": provider.url, "key": "b"},
            "c": {"dialect": "bedrock", "base_url": provider.url, "key": "c"},
        },
        "models": [
            *({"name": f"{name}{form}", "targets": [f"o/{name}{form}", "p/good"]} for name in BAD for form in ("", "-pieces")),
            *({"name": f"b-{name}", "targets": [f"b/anthropic.{name}", "c/anthropic.good"]} for name in BAD),
            *({"name": f"last-{name}", "targets": ["o/error", f"p/{name}-pieces"]} for name in BAD),
            *({"name": f"only-{name}", "targets": [f"o/{name}"]} for name in BAD),
            *({"name": f"count-{name}", "targets": [f"a/{name}"]} for name in ("good", "bare", "gone")),
            {"name": "count-both", "targets": ["a/good", "z/good"]},
            {"name": "both-good", "targets": ["o/good-halves", "p/good"]},
            {"name": "both-b-good", "targets": ["b/anthropic.good-halves", "c/anthropic.good"]},
            {"name": "only-pieces", "targets": ["o/error-pieces"]},
            *({"name": f"misnamed{form}", "targets": [f"o/misnamed{form}"]} for form in ("", "-pieces")),
            {"name": "only-text-pieces", "targets": ["o/text-pieces"]},
            *({"name": f"only-b-{name}", "targets": [f"b/anthropic.{name}"]} for name in BAD),
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def ask(gateway: Gateway, endpoint: str, model: str) -> httpx.Response:
    path, body, _ = ENDPOINTS[endpoint]
    said = body if endpoint == "invoke" else {**body, "model": model}
    return httpx.post(gateway.url + path.replace("MODEL", model), json=said, verify=False, timeout=20)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_next_target_answers(gateway: Gateway, provider: Scripted, endpoint: str) -> None:
    good = ENDPOINTS[endpoint][2]
    models = [f"b-{name}" for name in BAD] if endpoint == "invoke" else [name + form for name in BAD for form in ("", "-pieces")]
    for model in models:
        asked = len(provider.paths)
        answer = ask(gateway, endpoint, model)
        assert (model, answer.status_code) == (model, 200)
        assert (answer.content if isinstance(good, bytes) else answer.json()) == good
        assert len(provider.paths) == asked + 2


def test_good_answers_of_several_targets_are_booked_as_complete(gateway: Gateway) -> None:
    asked = {endpoint: "both-b-good" if endpoint == "invoke" else "both-good" for endpoint in ENDPOINTS}
    # More than once: whether the last byte and the end come in one message is chance.
    ids = [ask(gateway, endpoint, model).headers["x-request-id"] for _ in range(4) for endpoint, model in asked.items()]
    booked = collected(gateway, ids)
    assert {(booked[id]["path"], booked[id]["outcome"]) for id in ids if booked[id]["outcome"] != "complete"} == set()


@pytest.mark.parametrize("name", BAD)
def test_the_last_target_is_believed_no_more(gateway: Gateway, name: str) -> None:
    for endpoint in ("chat", "moderations", "speech"):
        answer = ask(gateway, endpoint, f"last-{name}")
        assert answer.status_code == (429 if name == "error" else 502)
        assert answer.json()["error"]["message"]
        if name == "error":
            assert answer.json() == LIMITED


@pytest.mark.parametrize("name", BAD)
def test_the_only_target_is_not_either(gateway: Gateway, name: str) -> None:
    for endpoint in ("chat", "moderations", "images", "speech"):
        answer = ask(gateway, endpoint, f"only-{name}")
        assert answer.status_code == (429 if name == "error" else 502)
        assert answer.json()["error"]["message"]
        # A page is no answer from its head on, so nothing waits for its end.
        assert name == "page" or int(answer.headers["content-length"]) == len(answer.content)
    answer = ask(gateway, "invoke", f"only-b-{name}")
    assert answer.status_code in (429, 502)
    assert answer.json()["message"]


def test_json_under_another_name_is_an_answer(gateway: Gateway) -> None:
    for model in ("misnamed", "misnamed-pieces"):
        answer = ask(gateway, "chat", model)
        assert (answer.status_code, answer.json(), answer.headers["content-type"].partition(";")[0]) == (200, COMPLETION, "text/plain")


def test_a_text_of_any_length_is_none(gateway: Gateway) -> None:
    answer = ask(gateway, "chat", "only-text-pieces")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_provider_answer")


def test_an_error_whose_head_has_gone_passes(gateway: Gateway) -> None:
    """What announces no length is passed on as it comes, where there is nobody else to ask."""
    answer = ask(gateway, "chat", "only-pieces")
    assert (answer.status_code, answer.json()) == (200, LIMITED)


@pytest.mark.parametrize("model", ["good", "bare", "both"])
def test_where_the_provider_says_that_nobody_counts_the_answer_is_an_estimate(gateway: Gateway, model: str) -> None:
    asked: Any = {"messages": [{"role": "user", "content": "x" * 400}]}
    with anthropic_sdk(gateway.url) as sdk:
        told = sdk.messages.with_raw_response.count_tokens(model=f"count-{model}", **asked)
    assert (told.parse().input_tokens, told.headers["x-headgate-estimated"]) == (104, "tokens")
    google = {"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}
    answer = httpx.post(f"{gateway.url}/v1beta/models/count-{model}:countTokens", json=google, verify=False)
    assert (answer.status_code, answer.json(), answer.headers["x-headgate-estimated"]) == (200, {"totalTokens": 104}, "tokens")


def test_a_model_that_is_not_there_is_not_counted(gateway: Gateway) -> None:
    with anthropic_sdk(gateway.url) as sdk, pytest.raises(anthropic.NotFoundError, match="model: gone"):
        sdk.messages.count_tokens(model="count-gone", messages=[{"role": "user", "content": "Hi"}])
