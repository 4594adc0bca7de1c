"""A provider that fails opens its breaker, and somebody is told of it, signed; and of its end."""

import base64
import hashlib
import hmac
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Scripted
from tests.notifications.receivers import SECRET


@pytest.fixture
def provider() -> Iterator[Scripted]:
    async def fails(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=500)

    with Scripted(fails) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Scripted]:
    async def takes(_: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    with Scripted(takes) as running:
        yield running


def verified(receiver: Scripted, at: int) -> dict[str, Any]:
    """What it was told, if that is signed."""
    headers, body = receiver.headers[at], receiver.bodies[at]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    found: dict[str, Any] = json.loads(body)
    return found


def document(provider: Scripted, receiver: Scripted) -> dict[str, Any]:
    return {
        "breaker": {"failures": 2, "open": 600},
        "providers": {"p": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "sk-1"}},
        "models": [{"name": "one", "targets": ["p/one"]}],
        "notifications": {"webhooks": [{"name": "ops", "url": f"{receiver.url}/hook", "secret": "env:HOOK_SECRET"}]},
    }


def fail(gateway: Gateway) -> None:
    """Opens the breaker."""
    for _ in range(2):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", "one"), verify=False, timeout=20)


def test_a_breaker_is_told_of(tmp_path_factory: pytest.TempPathFactory, provider: Scripted, receiver: Scripted) -> None:
    config = document(provider, receiver)
    with Gateway(folder(tmp_path_factory), config, {"HOOK_SECRET": SECRET}) as gateway:
        fail(gateway)
        gateway.until(lambda: receiver.bodies, "it is told")
        told = verified(receiver, 0)
        assert told["type"] == "breaker.opened"
        assert {name: told["data"][name] for name in ("provider", "model", "key")} == {"provider": "p", "model": "one", "key": None}
        assert receiver.paths == ["/hook"]
        gateway.until(lambda: gateway.metrics().get('ai_proxy_notifications_total{receiver="ops",result="sent"}') == 1, "it is counted")
        # The operator has mended what is wrong: it is asked again.
        gateway.write({**config, "providers": {"p": {**config["providers"]["p"], "key": "sk-2"}}})
        gateway.until(lambda: len(receiver.bodies) > 1, "it is told")
        assert verified(receiver, 1)["type"] == "breaker.closed"
        done = gateway.run("notify", "test", str(gateway.path))
        assert (done.returncode, done.stdout) == (0, "ops: taken\n"), done.stderr
        assert verified(receiver, 2)["type"] == "test"
        receiver.stop()
        done = gateway.run("notify", "test", str(gateway.path), "--receiver", "ops")
        assert (done.returncode, done.stdout) == (1, "")
        assert "ops: not taken: no connection: " in done.stderr
        assert SECRET not in gateway.log.read_text()


def test_what_waits_outlives_a_killed_gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted, receiver: Scripted) -> None:
    takes, receiver.handler = receiver.handler, None  # so it answers 500
    gateway = Gateway(folder(tmp_path_factory), document(provider, receiver), {"HOOK_SECRET": SECRET})
    with gateway:
        fail(gateway)
        gateway.until(lambda: receiver.bodies, "it is told")
        os.kill(gateway.pid, signal.SIGKILL)
    receiver.handler, refused = takes, len(receiver.bodies)
    with gateway:
        gateway.until(lambda: len(receiver.bodies) >= refused + 2, "it is told again, and of the end")
    told = {receiver.headers[at]["webhook-id"]: verified(receiver, at)["type"] for at in range(len(receiver.bodies))}
    # Once, though it was asked several times; and after a new start nothing is open.
    assert sorted(told.values()) == ["breaker.closed", "breaker.opened"]


def test_limits_are_told_of(tmp_path_factory: pytest.TempPathFactory, receiver: Scripted) -> None:
    rule = {"name": "house", "cost": "2", "window": "month", "thresholds": [0.0001]}
    config = {
        "providers": {"demo": {"base_url": "demo:", "dialect": "openai"}},
        "models": [{"name": "demo", "targets": ["demo"]}],
        "prices": [{"model": "demo/*", "input": "10000", "output": "10000"}],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}, {"limits": {"rules": [rule]}}],
        "notifications": {"webhooks": [{"name": "ops", "url": f"{receiver.url}/hook", "secret": "env:HOOK_SECRET"}]},
    }

    with Gateway(folder(tmp_path_factory), config, {"HOOK_SECRET": SECRET}) as gateway:

        def status() -> int:
            asked = chat("Hello", "demo", max_tokens=10)
            return httpx.post(f"{gateway.url}/v1/chat/completions", json=asked, timeout=20).status_code

        assert status() == 200
        gateway.until(lambda: status() == 402, "it is used up")
        gateway.until(lambda: len(receiver.bodies) >= 2, "both are told")
        told = {found["type"]: found["data"] for found in (verified(receiver, at) for at in range(2))}
        assert set(told) == {"limit.threshold", "budget.exhausted"}
        assert all((data["rule"], data["limit"], data["unit"]) == ("house", "2", "cost") for data in told.values())
