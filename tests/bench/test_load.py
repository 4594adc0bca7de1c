"""The load generator and the provider against each other, and against servers that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from bench.load import Job, Load, LoadError, Result
from bench.provider import Provider
from bench.system import Target


@asynccontextmanager
async def serving(factory: Callable[[], asyncio.BaseProtocol]) -> AsyncIterator[Target]:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    try:
        yield Target(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def run(target: Target, *, size: int = 1024, concurrency: int = 2, events: int = 0, unique: bool = True) -> Result:
    async with asyncio.timeout(20):
        return await Load().run(Job(target=target, size=size, concurrency=concurrency, seconds=0.05, events=events, unique=unique))


@pytest.mark.parametrize("size", [1024, 400 * 1024])
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_not_streamed(size: int, concurrency: int) -> None:
    async with serving(lambda: Provider(0)) as target:
        result = await run(target, size=size, concurrency=concurrency)
    assert result.count >= concurrency
    assert 0 < result.p50 <= result.p99 <= result.seconds * 1000
    assert result.rps == pytest.approx(result.count / result.seconds)
    assert (result.events, result.first_p50, result.late_p50) == (0, 0, 0)


@pytest.mark.parametrize("gap", [0, 0.001])
async def test_streamed(gap: float) -> None:
    async with serving(lambda: Provider(gap)) as target:
        result = await run(target, size=4096, events=30)
    assert result.events == 30 * result.count
    assert 0 < result.first_p50 <= result.p50
    assert 0 < result.late_p50 <= result.late_p99
    assert 1 <= result.reads <= result.events
    # A stream takes as long as its gaps do.
    assert result.p50 >= 30 * gap * 900


async def test_the_provider_speaks_openai() -> None:
    async with (
        serving(lambda: Provider(0)) as target,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{target.port}", verify=False) as client,
    ):
        whole = (await client.post("/v1/chat/completions", json={"model": "m", "messages": []})).json()
        assert whole["object"] == "chat.completion"
        assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
        asked = {"model": "m", "messages": [], "stream": True, "max_tokens": 3, "stream_options": {"include_usage": True}}
        answer = await client.post("/v1/chat/completions", json=asked)
        lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert lines.pop() == "[DONE]"
        *words, last, usage = [json.loads(line) for line in lines]
        assert [len(word["choices"][0]["delta"]["content"]) for word in words] == [27, 27, 27]
        assert words[0]["choices"][0]["delta"]["role"] == "assistant"
        assert last["choices"][0]["finish_reason"] == "stop"
        assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
        del asked["stream_options"]
        answer = await client.post("/v1/chat/completions", json=asked)
        assert '"choices":[]' not in answer.text


class Bodies(Provider):
    """Keeps the last bytes of every body that it gets."""

    seen: list[bytes] = []  # noqa: RUF012 - one list for all connections

    def data_received(self, data: bytes) -> None:
        self.seen.append(data.partition(b"Question #")[2][:16])
        super().data_received(data)


@pytest.mark.parametrize("unique", [True, False])
async def test_bodies_are_different_only_if_asked(unique: bool) -> None:
    Bodies.seen.clear()
    async with serving(lambda: Bodies(0)) as target:
        result = await run(target, unique=unique)
    assert len(Bodies.seen) == result.count + 2
    assert len(set(Bodies.seen)) == (len(Bodies.seen) if unique else 1)


class Canned(asyncio.Protocol):
    """Answers every read with the same bytes, a few at a time, then perhaps hangs up."""

    def __init__(self, answer: bytes, *, step: int = 1 << 20, close: bool = False) -> None:
        self._answer = answer
        self._step = step
        self._close = close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.ensure_future(self._send())  # noqa: RUF006 - it ends before the test

    async def _send(self) -> None:
        for at in range(0, len(self._answer), self._step):
            self._transport.write(self._answer[at : at + self._step])
            await asyncio.sleep(0)
        if self._close:
            self._transport.close()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "close", "why"),
    [
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno", False, "answered with HTTP/1.1 500 Oops"),
        (b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", False, "answered with HTTP/1.1 401"),
        (OK + b"content-length: 10\r\n\r\n12345", True, "closed in the middle"),
        (OK + b"\r\n", False, "neither content-length nor transfer-encoding"),
    ],
)
async def test_whatever_is_not_a_whole_answer_is_an_error(answer: bytes, close: bool, why: str) -> None:
    async with serving(lambda: Canned(answer, close=close)) as target:
        with pytest.raises(LoadError, match=why):
            await run(target, concurrency=1)


def _stream(events: int) -> bytes:
    chunks = [b"data: @%020d\n\n" % (1000 + number) for number in range(events)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def test_a_stream_that_lacks_an_event_is_an_error() -> None:
    answer = OK + b"transfer-encoding: chunked\r\n\r\n" + _stream(1)
    async with serving(lambda: Canned(answer)) as target:
        with pytest.raises(LoadError, match="a stream of 2 events came with 1"):
            await run(target, concurrency=1, events=7)


@pytest.mark.parametrize("step", [1, 2, 7, 19, 64])
async def test_answers_may_be_cut_anywhere(step: int) -> None:
    answer = OK + b"transfer-encoding: chunked\r\n\r\n" + _stream(2)
    async with serving(lambda: Canned(answer, step=step)) as target:
        result = await run(target, concurrency=1, events=2)
    assert result.events == 2 * result.count > 0


async def test_nobody_there() -> None:
    async with serving(lambda: Provider(0)) as target:
        pass
    with pytest.raises(OSError, match="Connect call failed"):
        await run(target)
