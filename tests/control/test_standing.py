"""The service: what workers tell, what they are told, and what Envoy's log adds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from extproc.config.breaker import Breakers
from extproc.config.model import Config, Redis
from extproc.control.standing import Standing
from extproc.ledger.standings import StandingMetrics
from extproc.link.client import Link
from extproc.link.server import LinkServer
from extproc.standing.cooling import Name
from extproc.standing.ear import Ear
from extproc.standing.line import LinkLine
from extproc.standing.told import STANDING, Lease
from extproc.standing.view import View
from extproc.tried import NO_ANSWER, STOPPED, Tried
from extproc.values import Target
from tests.scene import CONFIG
from tests.servers import RedisServer

GPT = Target("openai", "gpt")
BAD = Tried("openai", "gpt", 503, "overloaded", first=0.01, whole=0.01)
GOOD = Tried("openai", "gpt", 200, first=0.01, whole=0.01)


class Worker:
    """The part of a worker that has to do with this, on a real link."""

    def __init__(self, path: str) -> None:
        self.link = Link(path, {STANDING: self.take})
        line = LinkLine(self.link)
        self.view = View(line)
        self.ear = Ear(self.view, line)

    def take(self, data: bytes) -> None:
        self.view.take(data)

    async def targets(self, *targets: Target) -> tuple[Target, ...]:
        return (await self.view.choose(targets, {})).targets


class Machine:
    """A control process's standing, and two workers."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.log = folder / "attempts.log"
        self.registry = CollectorRegistry()
        self.config = config
        path = str(folder / "c.sock")
        self.standing = Standing(lambda message: self.server.push(STANDING, message), StandingMetrics(self.registry), self.log)
        self.server = LinkServer(
            path, self.standing.handlers, on_connect=lambda peer: peer.push(STANDING, self.standing.message())
        )  # fmt: skip
        self.workers = [Worker(path) for _ in range(2)]

    async def start(self) -> None:
        await self.standing.follow(self.config)
        await self.server.start()
        for worker in self.workers:
            worker.link.start()
            assert await worker.link.ready(5)

    async def stop(self) -> None:
        for worker in self.workers:
            await worker.link.close()
        await self.standing.close()
        await self.server.close()

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


Start = Callable[..., Any]


@pytest_asyncio.fixture
async def start(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Start]:
    running: list[Machine] = []

    async def begin(*, off: bool = False, **more: object) -> Machine:
        breaker = "off" if off else Breakers(failures=3, open=0.4)
        machine = Machine(tmp_path_factory.mktemp("m"), replace(CONFIG, breaker=breaker, **more))
        running.append(machine)
        await machine.start()
        return machine

    yield begin
    for machine in running:
        await machine.stop()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_one_worker_hears_all_are_told(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    machine = await start()
    one, two = machine.workers
    for tried in (BAD, BAD, GOOD, BAD, BAD):
        one.ear.hear(tried)
    two.ear.hear(BAD)
    await until(lambda: one.view.troubled and two.view.troubled)
    assert await two.targets(GPT, Target("anthropic", "claude")) == (Target("anthropic", "claude"),)
    assert "openai/gpt is left alone for 0.4 s: 3 failures in a row, the last: 503 overloaded" in caplog.text
    assert machine.value("ai_proxy_attempt_failures_total", provider="openai", reason="overloaded") == 5
    assert machine.value("ai_proxy_circuit_breaker_changes_total", provider="openai", model="gpt", key="", state="open") == 1
    # Half open: one request of all may try.
    await asyncio.sleep(0.45)
    machine.standing.show()
    assert machine.value("ai_proxy_circuit_breaker_state", provider="openai", model="gpt", key="") == 2
    chosen = await asyncio.gather(*(worker.view.choose((GPT,), {}) for worker in (one, two) for _ in range(5)))
    (lease,) = [each.lease for each in chosen if each.lease is not None]
    assert sum(bool(each.targets) for each in chosen) == 1
    assert lease == Lease(Name("openai", "gpt"), 1)
    one.view.give_back(lease)
    await asyncio.sleep(0.1)
    assert await two.targets(GPT) == (GPT,)
    two.ear.hear(GOOD)
    await until(lambda: not (one.view.troubled or two.view.troubled))
    assert machine.value("ai_proxy_circuit_breaker_probes_total", provider="openai") == 2


async def test_a_provider_that_has_another_key_is_asked_again(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "extproc.control.standing")
    machine = await start()
    one, two = machine.workers
    for _ in range(3):
        one.ear.hear(BAD)
    one.ear.hear(Tried("openai", "small", 429, "rate_limit_exceeded", resets=600.0))
    await until(lambda: len(list(two.view.stands())) == 2)
    await machine.standing.follow(machine.config)
    assert len(machine.standing.stands()) == 2, "nothing has changed"
    providers = machine.config.providers
    rotated = replace(machine.config, providers={**providers, "openai": replace(providers["openai"], key="sk-new")})
    await machine.standing.follow(rotated)
    await until(lambda: not (one.view.troubled or two.view.troubled))
    assert "openai/gpt is asked again: what was known of it is forgotten" in caplog.text
    assert machine.value("ai_proxy_circuit_breaker_changes_total", provider="openai", model="gpt", key="", state="closed") == 1


async def test_a_worker_that_comes_later_and_one_that_is_alone(start: Start) -> None:
    machine = await start()
    for _ in range(3):
        machine.workers[0].ear.hear(BAD)
    await until(lambda: machine.workers[1].view.troubled)
    late = Worker(machine.server.path)
    late.link.start()
    await until(lambda: late.view.troubled)
    await machine.server.close()
    await until(lambda: not late.link.up)
    await asyncio.sleep(0.45)
    assert await late.targets(GPT) == (GPT,)
    assert await late.targets(GPT) == ()
    late.ear.hear(GOOD)
    late.ear.flush()
    assert not late.view.troubled
    await late.link.close()


async def test_envoys_log_says_why_there_was_no_answer(start: Start) -> None:
    machine = await start()
    one = machine.workers[0]
    await machine.standing.step()
    line = {"cluster": "provider_openai", "flags": "UF", "request_id": "r-1", "start_time": "2026-11-22T09:02:59.273Z", "status": 0}
    machine.log.write_text(json.dumps(line) + "\n" + json.dumps({**line, "request_id": "r-2", "flags": "UT"}) + "\n")
    for request in ("r-1", "r-2", "r-3"):
        one.ear.hear(Tried("openai", "gpt", reason=NO_ANSWER, request=request))
    one.ear.flush()
    await asyncio.sleep(0.05)
    await machine.standing.step()
    counted = {
        reason: machine.value("ai_proxy_attempt_failures_total", provider="openai", reason=reason)
        for reason in ("connect", "timeout", "reset")
    }
    assert counted == {"connect": 1, "timeout": 1, "reset": 0}
    await asyncio.sleep(1.0)
    await machine.standing.step()
    assert machine.value("ai_proxy_attempt_failures_total", provider="openai", reason="reset") == 1, "the log says nothing of it"
    await until(lambda: one.view.troubled)


async def test_envoys_log_says_who_broke_off_an_answer(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The provider did: it counts once. The client did: it counts for nobody."""
    machine = await start()
    one = machine.workers[0]
    await machine.standing.step()
    line = {"cluster": "provider_openai", "flags": "UPE", "request_id": "r-1", "start_time": "2026-11-22T09:02:59.273Z", "status": 200}
    told = [line, {**line, "request_id": "r-2", "flags": "SI"}, {**line, "request_id": "r-3", "flags": "DC"}, {**line, "request_id": "r-4"}]
    machine.log.write_text("".join(json.dumps(each) + "\n" for each in told))
    for request, original in (("r-1", ""), ("r-2", "o-2"), ("r-3", ""), ("r-5", "")):
        one.ear.hear(replace(GOOD, reason=STOPPED, request=request, mirror_of=original, again=True))
    one.ear.flush()
    await asyncio.sleep(0.05)
    await machine.standing.step()
    await asyncio.sleep(1.0)
    await machine.standing.step()
    kinds = ("connect", "timeout", "reset", "nothing")
    counted = [machine.value("ai_proxy_attempt_failures_total", provider="openai", reason=reason) for reason in kinds]
    assert counted == [0, 1, 1, 0]
    assert [text for text in caplog.messages if "broke off" in text] == [
        f"request {name}: the answer of openai/gpt broke off: {why}"
        for name, why in (("r-1", "reset"), ("r-2 (a copy of o-2 for a mirror)", "timeout"))
    ]
    one.ear.hear(BAD)
    await until(lambda: one.view.troubled)


async def test_without_breakers_the_log_says_it_all_the_same(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    machine = await start(off=True)
    one = machine.workers[0]
    await machine.standing.step()
    line = {"cluster": "provider_openai", "flags": "UPE", "request_id": "r-1", "start_time": "2026-11-22T09:02:59.273Z", "status": 200}
    machine.log.write_text(json.dumps(line) + "\n")
    for tried in (GOOD, BAD, BAD, BAD, replace(GOOD, reason=STOPPED, request="r-1", again=True)):
        one.ear.hear_failure(tried)
    one.ear.flush()

    async def told() -> bool:
        await machine.standing.step()
        return "request r-1: the answer of openai/gpt broke off: reset" in caplog.messages

    async with asyncio.timeout(10):
        while not await told():
            await asyncio.sleep(0.01)
    assert machine.standing.stands() == []
    assert machine.value("ai_proxy_attempt_failures_total", provider="openai", reason="overloaded") == 3


async def test_a_log_that_cannot_be_read(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    machine = await start()
    machine.log.mkdir()
    for _ in range(3):
        await machine.standing.step()
    assert caplog.text.count("cannot be read") == 1


async def test_nobody_is_told_twice(start: Start) -> None:
    machine = await start()
    one = machine.workers[0]
    pushed: list[bytes] = []
    for _ in range(3):
        one.ear.hear(BAD)
    await until(lambda: one.view.troubled)

    async def push(message: bytes) -> None:
        pushed.append(message)

    machine.standing._push = push
    for _ in range(6):
        await machine.standing.step()
        await asyncio.sleep(0.1)
    assert len(pushed) == 1, "once, that it is half open now"


async def test_a_new_configuration(start: Start) -> None:
    machine = await start()
    for _ in range(3):
        machine.workers[0].ear.hear(BAD)
    await until(lambda: machine.workers[1].view.troubled)
    await machine.standing.follow(replace(machine.config, breaker="off"))
    await until(lambda: not machine.workers[1].view.troubled)


async def test_a_fleet(start: Start, own_redis: RedisServer) -> None:
    redis = Redis(url=own_redis.url, timeout=2.0)
    one, two = await start(redis=redis), await start(redis=redis)
    for _ in range(3):
        one.workers[0].ear.hear(BAD)

    async def heard(machine: Machine, *, troubled: bool) -> None:
        async with asyncio.timeout(10):
            while machine.workers[0].view.troubled is not troubled:
                await one.standing.step()
                await two.standing.step()
                await asyncio.sleep(0.02)

    await heard(one, troubled=True)
    await heard(two, troubled=True)
    await asyncio.sleep(0.45)
    assert await two.workers[0].targets(GPT) == (GPT,)
    assert await one.workers[0].targets(GPT) == (), "the other machine tries"
    two.workers[0].ear.hear(GOOD)
    await heard(two, troubled=False)
    await heard(one, troubled=False)
