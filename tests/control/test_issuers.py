"""Keys of issuers, from a server that has them, has others, or has none."""

import asyncio
import logging
from typing import Any, Self

import msgspec
import pytest
from aiohttp import web

from extproc.callers.issuers import RENEW, RemoteSets
from extproc.callers.keyset import LARGEST
from extproc.callers.tokens import purpose_of
from extproc.config.callers import Callers, Issuer, Refresh
from extproc.config.model import Config, Model, Provider
from extproc.control.issuers import Issuers, fresh_for
from extproc.ledger.metrics import Metrics
from extproc.link.client import Link
from extproc.link.server import LinkServer, Peer
from tests.callers.signer import public

NOBODY: Any = None
"""Who asks does not matter."""
REFRESH = Refresh(least=0.05, most=0.1, again=30)


class Place:
    """Where keys are."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = 200, b""
        self.has("a")
        self.asked = 0
        self.changed = asyncio.Event()
        self.url = ""

    def has(self, *kids: str) -> None:
        self.answer = 200, msgspec.json.encode({"keys": [public("ed25519", kid) for kid in kids]})

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/jwks", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/jwks"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        status, body = self.answer
        return web.Response(status=status, body=body, headers={"location": self.url} if status == 302 else {})


def issuer(url: str, refresh: Refresh = REFRESH, name: str = "https://issuer.test") -> Issuer:
    return Issuer(issuer=name, audiences=("gateway",), jwks_url=url, refresh=refresh)


def config(*issuers: Issuer) -> Config:
    provider = Provider(dialect="openai", base_url="https://p.test/v1")
    return Config(providers={"one": provider}, models=(Model(name="m", targets=("one",)),), callers=Callers(jwt=issuers))


class Workers:
    """What they were pushed: names of keys, by purpose."""

    def __init__(self) -> None:
        self.pushed: list[dict[str, list[str]]] = []
        self._news = asyncio.Event()

    async def push(self, message: bytes) -> None:
        told: dict[str, list[dict[str, Any]]] = msgspec.msgpack.decode(message)
        self.pushed.append({purpose: [key["kid"] for key in keys] for purpose, keys in told.items()})
        self._news.set()

    async def until(self, expected: dict[str, list[str]]) -> None:
        while not self.pushed or self.pushed[-1] != expected:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 20)


def made(workers: Workers, metrics: Metrics | None = None, patience: float = 5.0) -> Issuers:
    return Issuers(workers.push, metrics or Metrics("1"), ca_file=lambda: "/dev/null", patience=patience)


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_keys_are_there_before_anybody_asks_and_are_fetched_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    workers, metrics = Workers(), Metrics("1")
    async with Place() as place:
        one = issuer(place.url)
        issuers, purpose = made(workers, metrics), purpose_of(one)
        await issuers.follow(config(one))
        assert workers.pushed[-1] == {purpose: ["a"]}
        place.has("a", "b")
        await workers.until({purpose: ["a", "b"]})
        # Down, or with nothing of use: what was there stays.
        for answer in ((503, b""), (200, b"<html>"), (302, b""), (200, b'{"keys": []}'), (200, b" " * (LARGEST + 1))):
            before, place.answer = place.asked, answer
            issuers._keepers.all[purpose]._failures = 0
            issuers._keepers.all[purpose]._next = 0.0
            await issuers.renew(NOBODY, purpose.encode())
            assert place.asked > before
            assert msgspec.msgpack.decode(issuers.message()).keys() == {purpose}
        assert workers.pushed[-1] == {purpose: ["a", "b"]}
        assert "those at hand go on counting" in caplog.text
        assert b'ai_proxy_issuer_keys_failures_total{issuer="https://issuer.test"} 5' in metrics.render()
        await issuers.follow(config())
        assert workers.pushed[-1] == {}
        await issuers.close()


async def test_an_issuer_that_is_not_there_holds_a_start_up_for_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers()
    async with Place() as place:
        place.answer = 500, b""
        issuers = made(workers)
        async with asyncio.timeout(4):
            await issuers.follow(config(issuer(place.url)))
        assert workers.pushed[-1] == {}
        assert "refused with 503 until there are some" in caplog.text
        place.has("a")
        await workers.until({purpose_of(issuer(place.url)): ["a"]})
        await issuers.close()


async def test_an_unknown_key_is_asked_for_no_more_often_than_it_may() -> None:
    async with Place() as place:
        one = issuer(place.url, Refresh(least=3600, most=3600, again=0.3))
        issuers = made(Workers())
        await issuers.follow(config(one))
        assert place.asked == 1
        for _ in range(20):
            await issuers.renew(NOBODY, purpose_of(one).encode())
        assert place.asked == 1
        await asyncio.sleep(0.35)
        await asyncio.gather(*(issuers.renew(NOBODY, purpose_of(one).encode()) for _ in range(20)))
        assert place.asked == 2
        await issuers.renew(NOBODY, b"nobody's")
        await issuers.close()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 300), ("max-age=120", 120), ("public, max-age=120, must-revalidate", 120), ("max-age=5", 60), ("max-age=86400", 3600),
        ("no-store", 60), ("max-age=900, no-cache", 60), ("s-max-age=900", 300), ("max-age=-1", 300), ("max-age=x", 300),
        ('MAX-AGE="120"', 120), ("max-age=99999999999999", 300),
    ],
)  # fmt: skip
def test_how_long_keys_count(said: str, seconds: float) -> None:
    assert fresh_for(said, Refresh()) == seconds


async def test_a_worker_asks_once_for_all_who_wait(tmp_path: Any) -> None:
    """Over a real link: many tokens of a key that is not known yet, and one question."""
    asked: list[bytes] = []
    go_on = asyncio.Event()

    async def renew(_: Peer, purpose: bytes) -> bytes:
        asked.append(purpose)
        await go_on.wait()
        return b""

    server = LinkServer(str(tmp_path / "sock"), {RENEW: renew})
    await server.start()
    link = await Link.connect(str(tmp_path / "sock"))
    sets = RemoteSets(link)
    waiting = [asyncio.ensure_future(sets.renew("p")) for _ in range(10)]
    await until(lambda: asked)
    sets.take(msgspec.msgpack.encode({"p": [public("ed25519", "a")]}))
    go_on.set()
    await asyncio.gather(*waiting)
    assert asked == [b"p"]
    before = sets.find("p")
    assert before is not None
    # Not again at once, whoever asks; and the same keys stay the same set.
    await sets.renew("p")
    assert asked == [b"p"]
    sets.take(msgspec.msgpack.encode({"p": [public("ed25519", "a")], "q": [public("ed25519", "b")]}))
    assert sets.find("p") is before
    sets.take(msgspec.msgpack.encode({"q": [public("ed25519", "b")]}))
    assert sets.find("p") is None
    await link.close()
    # Nobody there: those who ask are told nothing, at once.
    await sets.renew("q")
    await server.close()
