"""Copies of requests on their way: who is told what, what is dropped, and that nobody waits."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from extproc import mirrors
from extproc.mirrored import Mirrored, decode
from extproc.mirrors import Mirrors
from extproc.values import Identity, Target

pytestmark = pytest.mark.asyncio

Take = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


async def test_what_is_sent(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(300_000))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 300_000)
        writer.close()

    path = str(tmp_path / "m.sock")
    sent = Mirrors(path, lambda: False)
    async with await asyncio.start_unix_server(take, path):
        sent.send("it", "/v1/x?a=b", {"content-type": "text/plain", "x-name": "caf\u00e9"}, b"x" * 300_000)
        await until(lambda: len(heard) == 2 and not sent.under_way)
    head = ("POST /v1/x?a=b HTTP/1.1", "host: mirror", "content-type: text/plain", "x-name: caf\u00e9", "content-length: 300000")
    assert heard == ["\r\n".join((*head, "connection: close", "", "")).encode(), b"x" * 300_000]
    assert sent.dropped == 0


async def test_what_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MOST", 4)
    monkeypatch.setattr(mirrors, "_BYTES", 16)
    path, busy = str(tmp_path / "m.sock"), False
    taken: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        await reader.read()
        writer.close()

    sent = Mirrors(path, lambda: busy)
    sent.send("it", "/", {}, b"nobody")
    await until(lambda: sent.dropped == 1)
    async with await asyncio.start_unix_server(hold, path):
        sent.send("it", "/", {}, b"123456")
        sent.send("it", "/", {}, b"12345")
        assert sent.dropped == 2, "too many bytes"
        sent.send("it", "/", {}, b"1234")
        sent.send("it", "/", {}, b"")
        assert sent.dropped == 3, "too many"
        await until(lambda: len(taken) == 2)
        taken[0].close()
        await until(lambda: sent.under_way == 1)
        sent.send("it", "/", {}, b"1")
        busy = True
        sent.send("it", "/", {}, b"1")
        assert sent.dropped == 4, "no time"
        assert sent.under_way == 2
        await sent.close()
        assert sent.under_way == 0
    assert sent.dropped == 4, "what was taken has an entry of its own"


async def test_one_that_hangs_silences_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(mirrors, "MOST", 8)
    path = str(tmp_path / "m.sock")

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    sent = Mirrors(path, lambda: False)
    async with await asyncio.start_unix_server(hang, path):
        for _ in range(20):
            sent.send("hangs", "/", {}, b"1")
        assert (sent.under_way, sent.dropped) == (4, 16)
        assert caplog.text.count("copies for the mirror hangs are dropped: 4 are under way") == 1
        sent.send("other", "/", {}, b"1")
        assert (sent.under_way, sent.dropped) == (5, 16)
        sent.keep({"other"})
        await until(lambda: sent.under_way == 1)
        for _ in range(20):
            sent.send("other", "/", {}, b"1")
        assert sent.under_way == 4
        await sent.close()


async def test_one_is_given_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "_WITHIN", 0.05)
    path, ended = str(tmp_path / "m.sock"), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    sent = Mirrors(path, lambda: False)
    async with await asyncio.start_unix_server(hang, path):
        sent.send("it", "/", {}, b"1")
        await asyncio.wait_for(ended.wait(), 5)
        await until(lambda: sent.under_way == 0)
    assert sent.dropped == 0


async def test_what_the_gate_is_told_is_fit_for_a_header() -> None:
    told = Mirrored("r-1", "g", Target("a", "modèle"), Identity("中", "k"), "m\n", "m*")
    assert told.encode().isascii()
    assert "\n" not in told.encode()
    assert decode(told.encode()) == told
    with pytest.raises(ValueError, match="truncated"):
        decode("!")
