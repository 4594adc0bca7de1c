"""Health checks of real providers on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from extproc.checked import decode_ill
from extproc.config.health import Health
from extproc.config.model import Config, Google, HeaderEdits, HeaderRules, Model, Provider
from extproc.config.pool import ProviderKey
from extproc.control.health import Checks
from extproc.ledger.metrics import Metrics
from tests.e2e.ports import free_port


def quick(path: str = "/", **more: Any) -> Health:
    return Health(path=path, every=0.02, timeout=0.2, **more)


class Asked:
    """A provider, and what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.pause = 0.0
        self.refused: set[str] = set()
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.port = free_port()

    async def answer(self, request: web.Request) -> web.Response:
        self.heads.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path_qs)
        await asyncio.sleep(self.pause)
        status = 401 if request.headers.get("x-api-key") in self.refused else self.status
        return web.Response(status=status, headers={"location": "/elsewhere"})

    def config(self, **more: Any) -> Config:
        provider = Provider(dialect="anthropic", base_url=f"http://127.0.0.1:{self.port}/deep/v1", key="sk-p", **more)
        return Config(
            providers={"p": provider, "unchecked": Provider(dialect="openai", base_url="demo:")}, models=(Model(name="m", targets=("p",)),)
        )


class Worker:
    """One that is told."""

    def __init__(self) -> None:
        self.ill: set[str] | None = None
        self.told = 0

    async def push(self, data: bytes) -> None:
        self.told += 1
        self.ill = set(decode_ill(data))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def checks(worker: Worker, metrics: Metrics, token: str = "") -> AsyncIterator[tuple[Checks, Asked]]:
    asked = Asked()
    app = web.Application()
    app.router.add_get("/{tail:.*}", asked.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", asked.port).start()
    made = Checks(worker.push, metrics, lambda google: token, run_dir="", ca_file=lambda: "")
    try:
        yield made, asked
    finally:
        await made.close()
        await runner.cleanup()


async def test_a_provider_is_ill_only_if_no_key_of_several_is_taken() -> None:
    worker = Worker()
    async with checks(worker, Metrics("1")) as (made, asked):
        config = asked.config(health=quick(failures=1))
        keys = tuple(ProviderKey(key=f"sk-{name}", name=name) for name in "ab")
        asked.refused = {"sk-a"}
        provider = msgspec.structs.replace(config.providers["p"], key=None, keys=keys)
        await made.follow(msgspec.structs.replace(config, providers={"p": provider}))
        await until(lambda: made.healthy("p") and len(asked.heads) >= 4)
        assert [head["x-api-key"] for head in asked.heads[:4]] == ["sk-a", "sk-b"] * 2
        asked.refused = {"sk-a", "sk-b"}
        await until(lambda: made.healthy("p") is False)
        # What is the provider's own trouble is not asked about again.
        asked.refused, asked.status = set(), 500
        asked.heads.clear()
        await until(lambda: len(asked.heads) >= 3)
        assert {head["x-api-key"] for head in asked.heads[1:]} == {"sk-a"}


async def test_from_well_to_ill_and_back(caplog: pytest.LogCaptureFixture) -> None:
    worker, metrics = Worker(), Metrics("1")
    with caplog.at_level(logging.INFO, "extproc.control.health"):
        async with checks(worker, metrics) as (made, asked):
            assert (made.healthy("p"), made.message()) == (None, msgspec.msgpack.encode({}))
            await made.follow(asked.config(health=quick("/health?deep=1", failures=3)))
            await until(lambda: made.healthy("p"))
            assert worker.ill == set()
            asked.status = 500
            asked.paths.clear()
            await until(lambda: made.healthy("p") is False)
            assert len(asked.paths) >= 3
            assert set(asked.paths) == {"/health?deep=1"}
            assert worker.ill == {"p"}
            assert b'ai_proxy_provider_healthy{provider="p"} 0.0' in metrics.render()
            asked.status = 200
            await until(lambda: made.healthy("p"))
            assert worker.ill == set()
            # Workers are told of changes alone, and who comes later is told all.
            assert worker.told == 3
            assert decode_ill(made.message()) == {}
    assert [record.getMessage() for record in caplog.records] == [
        "provider p is unhealthy: status 500 Internal Server Error; others are asked while there are any",
        "provider p is healthy again",
    ]
    assert b'ai_proxy_provider_healthy{provider="p"} 1.0' in metrics.render()
    assert b'ai_proxy_provider_health_checks_total{provider="p",result="failed"}' in metrics.render()


async def test_what_a_check_carries() -> None:
    headers = HeaderRules(request=HeaderEdits(set={"x-team": "blue"}))
    async with checks(Worker(), Metrics("1"), token="ya29") as (made, asked):
        await made.follow(asked.config(health=quick("/v1/models"), headers=headers))
        await until(lambda: asked.heads)
        head = asked.heads[0]
        assert (head["x-api-key"], head["anthropic-version"], head["x-team"]) == ("sk-p", "2023-06-01", "blue")
        assert head["host"] == f"127.0.0.1:{asked.port}"
        assert "authorization" not in head
        asked.heads.clear()
        vertex = Provider(dialect="gemini", base_url=f"http://127.0.0.1:{asked.port}", google=Google(), health=quick())
        await made.follow(Config(providers={"p": vertex}, models=(Model(name="m", targets=("p",)),)))
        await until(lambda: any("authorization" in head for head in asked.heads))
        assert asked.heads[-1]["authorization"] == "Bearer ya29"


async def test_what_is_no_answer() -> None:
    """A redirect is not followed, who is too slow is ill, and so is who is not there."""
    async with checks(Worker(), Metrics("1")) as (made, asked):
        asked.status = 302
        await made.follow(asked.config(health=quick(failures=1)))
        await until(lambda: made.healthy("p") is False)
        assert set(asked.paths) == {"/"}
        await made.follow(asked.config(health=quick(failures=1, expects=(200, 302))))
        await until(lambda: made.healthy("p"))
        asked.pause = 5
        await until(lambda: made.healthy("p") is False)
        worker, gone = Worker(), Asked()
        other = Checks(worker.push, Metrics("1"), lambda google: "", run_dir="", ca_file=lambda: "")
        await other.follow(gone.config(health=quick(failures=1)))
        await until(lambda: worker.ill == {"p"})
        await other.close()


async def test_a_provider_that_changes_is_found_out_about_anew() -> None:
    worker, metrics = Worker(), Metrics("1")
    async with checks(worker, metrics) as (made, asked):
        asked.status = 500
        config = asked.config(health=quick(failures=1))
        await made.follow(config)
        await until(lambda: worker.ill)
        await made.follow(config)
        assert made.healthy("p") is False
        await made.follow(asked.config())
        assert (made.healthy("p"), worker.ill) == (None, set())
        assert b"ai_proxy_provider_healthy{" not in metrics.render()
