"""What a store elsewhere has to tell: each change, and that it is gone, and there again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.control.feed import Feed
from extproc.control.identities import Identities
from extproc.control.kept import FILE
from tests import stored
from tests.e2e.ports import free_port
from tests.postgres import PostgresServer


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


def test_none_is_followed_where_there_is_none(tmp_path: Path) -> None:
    async def run() -> None:
        feed = Feed(tmp_path)
        await feed.follow("")
        assert (feed.up, feed.version) == (False, 0)
        await feed.close()

    asyncio.run(run())


def test_changes_are_told(tmp_path: Path, store_url: str) -> None:
    async def run() -> None:
        feed = Feed(tmp_path)
        await feed.follow(store_url)
        assert feed.up
        before = feed.version
        await asyncio.to_thread(stored.create, store_url, "one")
        await until(lambda: feed.version > before)
        await feed.follow(store_url)
        assert feed.up, "the same one goes on"
        await feed.close()
        assert not feed.up

    asyncio.run(run())


def test_an_outage_is_told_and_ends(tmp_path: Path, store_url: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        feed = Feed(tmp_path)
        await feed.follow(store_url)
        before = feed.version
        postgres.stop()
        try:
            await until(lambda: not feed.up)
            seen = feed.version
            assert seen > before
        finally:
            await asyncio.to_thread(postgres.resume)
        await until(lambda: feed.up)
        assert feed.version > seen, "nobody knows what has changed meanwhile"
        await feed.close()

    with caplog.at_level("INFO"):
        asyncio.run(run())
    assert "known keys go on working" in caplog.text and "the store answers again" in caplog.text


def test_whether_anything_is_known_of_it(tmp_path: Path, store_url: str) -> None:
    async def run() -> None:
        feed, nobody = Feed(tmp_path), f"postgresql://nobody@127.0.0.1:{free_port()}/none"
        assert not feed.ignorant, "there is none"
        await feed.follow(nobody)
        assert feed.ignorant
        await feed.follow(store_url)
        assert not feed.ignorant
        await feed.follow(nobody)
        assert feed.ignorant, "another one"
        (tmp_path / FILE).touch()
        assert not feed.ignorant, "what it told an earlier gateway is in force"
        await feed.close()

    asyncio.run(run())


def test_a_store_without_tables_says_what_to_do(tmp_path: Path, postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        feed = Feed(tmp_path)
        await feed.follow(postgres.url(postgres.create()))
        assert not feed.up
        await feed.close()

    asyncio.run(run())
    assert "run `headgate store migrate`" in caplog.text


def test_a_store_that_hangs_is_left_alone(tmp_path: Path, store_url: str, postgres: PostgresServer) -> None:
    async def run() -> list[bool]:
        feed, tried = Feed(tmp_path), list[bool]()
        assert await feed.ask(lambda up: up) is False
        await feed.follow(store_url)
        assert await feed.ask(lambda up: up) is True

        def look(up: bool) -> bool:
            tried.append(up)
            if up:
                Identities(tmp_path, store_url).stamp()
            return up

        with postgres.frozen():
            async with asyncio.timeout(30):
                assert await feed.ask(look) is False
        await until(lambda: feed.up)
        await feed.close()
        return tried

    assert asyncio.run(run()) == [True, False]
