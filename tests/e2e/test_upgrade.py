"""Reloads, and then another Headgate and another Envoy in the same place, while answers are under way and requests go on."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.crowd import Client, Provider
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.steady import PATIENCE, Steady
from tests.e2e.test_many_streams import until
from tests.e2e.upstream import Demo

CONNECTIONS, STREAMS_EACH = 2, 100
MANY = CONNECTIONS * STREAMS_EACH
LONG = 3 * PATIENCE
"""Seconds that what is under way is given: more than all of it takes."""


def settings(crowd: int, demo: Demo, connect: float = 5.0, **more: Any) -> dict[str, Any]:
    return {
        "providers": {
            "o": {
                "dialect": "openai", "base_url": f"http://127.0.0.1:{crowd}/v1", "key": "sk-provider", "timeouts": {"connect": connect},
            },
            "d": {"dialect": "openai", "base_url": f"{demo.url}/v1", "key": "sk-provider-d"},
        },
        "models": [{"name": "long", "targets": ["o"]}, {"name": "short", "targets": ["d/demo"]}],
        "drain": LONG,
        **more,
    }  # fmt: skip


@pytest.mark.timeout(400)  # alone it takes fifteen seconds; an upgrade beside much else a minute
def test_no_request_fails_and_no_answer_is_cut(tmp_path: Path, openai_provider: Demo) -> None:
    asyncio.run(upgraded(tmp_path, openai_provider))


async def upgraded(tmp_path: Path, demo: Demo) -> None:
    port = free_port()
    provider = Provider()
    await provider.start(port)
    gateway = Gateway(tmp_path, settings(port, demo))
    await asyncio.to_thread(gateway.__enter__)
    clients: list[Client] = []
    try:
        for _ in range(CONNECTIONS):
            await begin(gateway, clients)
        steady = Steady(gateway.url, "short")
        before = gateway.pid, gateway.envoy(), gateway.workers()
        # Two reloads that change a provider whose answers are under way; then what Envoy and the workers have from their start on.
        for number, more in enumerate(({"connect": 4.0}, {"connect": 3.0}, {"connect": 3.0, "workers": 2, "envoy_threads": 1}), 1):
            await asyncio.to_thread(reload, gateway, settings(port, demo, **more), number)
        assert "envoy_threads has changed: it takes effect at the next start, or, without losing a request" in gateway.log.read_text()
        done = await asyncio.to_thread(gateway.run, "upgrade", str(gateway.path))
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "replacing ..."), done.stderr + gateway.log.read_text()
        # The process is the same, Envoy is another one, and so are the workers; those before them finish what they have.
        assert gateway.pid == before[0]
        assert before[1] in gateway.children("--config-path")
        assert len(gateway.children("--config-path")) == 2
        assert set(before[2]) < set(gateway.workers())
        assert len(gateway.workers()) == len(before[2]) + 2
        await begin(gateway, clients)
        provider.release()
        await until(lambda: sum(client.whole for client in clients), MANY + STREAMS_EACH, clients)
        await asyncio.to_thread(gateway.until, lambda: not set(before[2]) & set(gateway.workers()), "the old workers have left", LONG)
        await asyncio.to_thread(steady.end)
        assert steady.failed == []
        for client in clients:
            assert client.failed == []
            client.close()
        rows = await asyncio.to_thread(gateway.ledger, requests=MANY + STREAMS_EACH + steady.answered)
        assert sum(row["requests"] for row in rows) == MANY + STREAMS_EACH + steady.answered
        refused = await asyncio.to_thread(refusal, gateway)
        assert refused.returncode == 2
        assert "$.providers.d.key: " in refused.stderr and "goes on as before" in refused.stderr, refused.stderr
        assert httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", "short"), timeout=LONG, verify=False).status_code == 200
        assert httpx.get(f"{gateway.operator}/readyz", verify=False).json()["missing"] == []
    finally:
        # The Envoy before would be given its time.
        os.kill(gateway.pid, signal.SIGINT)
        await asyncio.to_thread(
            gateway.until, lambda: "ending" in httpx.get(f"{gateway.operator}/readyz", verify=False).text, "it is ending"
        )
        await asyncio.to_thread(gateway.stop)
        provider.close()


def reload(gateway: Gateway, document: dict[str, Any], number: int) -> None:
    gateway.write(document)
    gateway.until(lambda: gateway.log.read_text().count("new configuration in force in 1 of 1 workers") == number, "it is in force", LONG)


async def begin(gateway: Gateway, clients: list[Client]) -> None:
    clients.append(Client(f"127.0.0.1:{gateway.port}", "long", STREAMS_EACH))
    await asyncio.get_running_loop().create_connection(lambda: clients[-1], "127.0.0.1", gateway.port)
    await until(lambda: sum(client.begun for client in clients), len(clients) * STREAMS_EACH, clients)


def refusal(gateway: Gateway) -> Any:
    """An upgrade to what would not start: a secret is not there, as only the gateway itself can tell."""
    gateway.path.write_text(gateway.path.read_text().replace("sk-provider-d", "env:NOT_THERE"))
    return gateway.run("upgrade", str(gateway.path))
