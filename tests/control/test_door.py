"""An HTTP application whose sockets another one goes on with."""

import asyncio
from pathlib import Path

import aiohttp
from aiohttp import web

from extproc.control.door import Door
from tests.e2e.ports import free_port


def app(says: str, begun: asyncio.Event | None = None) -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        if begun is not None:
            begun.set()
            await asyncio.sleep(0.2)
        return web.Response(text=says)

    made = web.Application()
    made.add_routes([web.get("/", answer)])
    return made


async def ask(url: str, connector: aiohttp.BaseConnector | None = None) -> str:
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
        return await answer.text()


async def test_a_path_is_handed_over(tmp_path: Path) -> None:
    path, begun = tmp_path / "s", asyncio.Event()
    old, fresh = Door(app("old", begun), patience=5), Door(app("fresh"), patience=5)
    path.touch()  # what a killed gateway left
    await old.open_path(path, backlog=16)
    under_way = asyncio.ensure_future(ask("http://x/", aiohttp.UnixConnector(str(path))))
    await begun.wait()
    kept = old.keep()
    await old.close()
    # What had begun has had its time, and who comes now waits.
    assert await under_way == "old"
    waiting = asyncio.ensure_future(ask("http://x/", aiohttp.UnixConnector(str(path))))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await fresh.open_path(path, backlog=16, handed=kept)
    assert await waiting == "fresh"
    await fresh.close()


async def test_a_port_is_handed_over(tmp_path: Path) -> None:
    old, fresh, port = Door(app("old"), patience=5), Door(app("fresh"), patience=5), free_port()
    assert (old.port, old.keep()) == (0, [])
    await old.open_port("127.0.0.1", port)
    kept = old.keep()
    await old.close()
    waiting = asyncio.ensure_future(ask(f"http://127.0.0.1:{port}/"))
    await fresh.open_port("127.0.0.1", port, handed=kept)
    assert await waiting == "fresh"
    assert fresh.port == port
    # Another port is another socket.
    moved, other = Door(app("moved"), patience=5), free_port()
    kept = fresh.keep()
    await fresh.close()
    await moved.open_port("127.0.0.1", other, handed=kept)
    assert await ask(f"http://127.0.0.1:{other}/") == "moved"
    assert moved.port == other
    await moved.close()
