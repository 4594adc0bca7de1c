"""The demo provider misbehaves as it is told to, and only then."""

import asyncio
import io
import itertools
import time
import zlib
from typing import Any

import msgspec
import pytest
from aiohttp import ClientError, ClientPayloadError, ClientTimeout

from extproc.demo.script import Script, read_script, without_directives
from tests.demo.ask import DIALECTS, HEADERS, PATHS, Demo, body, split, text_of


def test_directives() -> None:
    text = "Hi [demo: delay=2 break, stop=length] you [demo@anthropic: status=503 delay=1]"
    assert read_script([], text, "openai") == Script(delay=2, break_=1, stop="length")
    assert read_script([], text, "anthropic") == Script(delay=1, break_=1, stop="length", status=503)
    assert read_script([("X-Demo-Status", "429"), ("x-demo-html", ""), ("x-demo-break-before-first", "")], text, "openai") == Script(
        delay=2, break_=0, stop="length", status=429, html=True
    )
    assert without_directives(text) == "Hi  you"
    for wrong in ("nothing", "delay=soon", "delay=1000", "status=99", "stop=now"):
        with pytest.raises(ValueError, match="demo directive"):
            read_script([], f"[demo: {wrong}]", "openai")


async def read(
    demo: Demo, dialect: str, text: str, *, stream: bool = True, headers: dict[str, str] | None = None
) -> tuple[int, Any, bytes]:
    """Status, headers and all of the body that came."""
    seen = b""
    request = demo.post(PATHS[dialect], json=body(dialect, text, stream=stream), headers=HEADERS[dialect] | (headers or {}))
    async with request as response:
        try:
            async for chunk in response.content.iter_any():
                seen += chunk
        except ClientPayloadError:
            seen += b"<cut>"
        return response.status, response.headers, seen


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_errors(demo: Demo, dialect: str) -> None:
    for stream in (False, True):
        status, headers, seen = await read(demo, dialect, "[demo: status=503 retry-after=7]", stream=stream)
        assert (status, headers["retry-after"]) == (503, "7")
        assert "503" in msgspec.json.decode(seen)["error"]["message"]
    status, headers, seen = await read(demo, dialect, "[demo: status=502 html]")
    assert (status, headers["content-type"], seen[:6]) == (502, "text/html", b"<html>")
    other = "anthropic" if dialect == "openai" else "openai"
    assert (await read(demo, dialect, f"[demo@{other}: status=503]"))[0] == 200
    assert (await read(demo, dialect, f"[demo@{dialect}: status=503]"))[0] == 503
    assert (await read(demo, dialect, "hello", headers={"x-demo-status": "429"}))[0] == 429
    assert (await read(demo, dialect, "[demo: misspelt]"))[0] == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_broken_streams(demo: Demo, dialect: str) -> None:
    for events in (0, 1, 3):
        _, _, seen = await read(demo, dialect, f"[demo: break={events}]")
        assert seen.endswith(b"<cut>")
        assert len(split(seen)) == events
        _, _, seen = await read(demo, dialect, f"[demo: close={events}]")
        assert len(split(seen)) == events
        assert b"<cut>" not in seen
    assert (await read(demo, dialect, "[demo: break-before-first]"))[2] == b"<cut>"
    _, _, seen = await read(demo, dialect, "[demo: error=2]")
    assert "error" in split(seen)[2]
    assert len(split(seen)) == 3
    with pytest.raises(msgspec.DecodeError):
        split((await read(demo, dialect, "[demo: malformed=2]"))[2])
    with pytest.raises(ClientError):
        await read(demo, dialect, "[demo: reset]")


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_broken_bodies(demo: Demo, dialect: str) -> None:
    _, headers, seen = await read(demo, dialect, "[demo: break]", stream=False)
    assert seen[0:1] == b"{"
    assert seen.endswith(b"<cut>")
    assert int(headers["content-length"]) > len(seen)
    assert (await read(demo, dialect, "[demo: break=0]", stream=False))[2] == b"<cut>"
    _, _, seen = await read(demo, dialect, "[demo: close]", stream=False)
    assert seen[0:1] == b"{"
    for knob, form in (("malformed", "application/json"), ("close", "application/json"), ("content-type=text/plain", "text/plain")):
        _, headers, seen = await read(demo, dialect, f"[demo: {knob}]", stream=False)
        assert headers["content-type"] == form
        if knob != "content-type=text/plain":
            with pytest.raises(msgspec.DecodeError):
                msgspec.json.decode(seen)


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_pace_and_shape(demo: Demo, dialect: str) -> None:
    began = time.monotonic()
    await read(demo, dialect, "[demo: delay=0.1 gap=0.02 chunks=3]")
    assert 0.2 < time.monotonic() - began < 3
    plain = text_of(dialect, split((await read(demo, dialect, "hello"))[2]))
    for knob in ("chunks=3", "comments", "crlf", "cut=7"):
        _, _, seen = await read(demo, dialect, f"hello [demo: {knob}]")
        assert text_of(dialect, split(seen)) == plain
        assert (b": demo" in seen, b"\r\n" in seen) == (knob == "comments", knob == "crlf")
    counts = [len(split((await read(demo, dialect, f"hello [demo: chunks={number}]"))[2])) for number in (1, 5)]
    assert counts[1] - counts[0] == 4


@pytest.mark.asyncio
async def test_numbers(demo: Demo) -> None:
    whole = msgspec.json.decode((await read(demo, "openai", "[demo: tokens=5000 cached=4 answered=demo-2]", stream=False))[2])
    assert whole["usage"]["completion_tokens"] == 5000
    assert whole["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert whole["model"] == "demo-2"
    other = msgspec.json.decode((await read(demo, "anthropic", "[demo: tokens=4000 cached=4 answered=demo-2]", stream=False))[2])
    assert other["usage"]["input_tokens"] + 4 == whole["usage"]["prompt_tokens"]
    assert other["usage"]["cache_read_input_tokens"] == 4
    for dialect, field in (("openai", "finish_reason"), ("anthropic", "stop_reason")):
        for stop, words in (("length", {"length", "max_tokens"}), ("filter", {"content_filter", "refusal"})):
            answer = msgspec.json.decode((await read(demo, dialect, f"[demo: stop={stop}]", stream=False))[2])
            assert (answer["choices"][0] if dialect == "openai" else answer)[field] in words
    assert b"usage" not in (await read(demo, "openai", "[demo: no-usage]", stream=False))[2]
    assert b"usage" not in (await read(demo, "anthropic", "[demo: no-usage]"))[2]


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_compresses_when_asked(demo: Demo, dialect: str) -> None:
    demo.session._auto_decompress = False  # aiohttp has no public way to see the bytes as they came
    for stream in (False, True):
        _, headers, plain = await read(demo, dialect, "hello", stream=stream, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in headers
        _, headers, seen = await read(demo, dialect, "hello", stream=stream, headers={"accept-encoding": "br, gzip;q=0.5"})
        assert headers["content-encoding"] == "gzip"
        assert len(zlib.decompress(seen, wbits=31)) == len(plain)
        _, headers, _ = await read(demo, dialect, "hello", stream=stream, headers={"accept-encoding": "gzip;q=0"})
        assert "content-encoding" not in headers
    request = demo.post(PATHS[dialect], json=body(dialect, "[demo: silent=1]", stream=True), headers=HEADERS[dialect])
    async with request as response:
        first = await asyncio.wait_for(response.content.readany(), 5)
        assert len(split(zlib.decompressobj(wbits=31).decompress(first))) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("knob", "stream"), [*itertools.product(["hang", "silent", "silent=2", "delay=60"], [False, True]), ("gap=60", True)]
)
async def test_a_hang_up_is_noticed(demo: Demo, knob: str, stream: bool) -> None:
    with pytest.raises(asyncio.TimeoutError):
        async with demo.post(
            PATHS["openai"], json=body("openai", f"[demo: {knob}]", stream=stream), timeout=ClientTimeout(total=0.3)
        ) as response:
            await response.read()
    for _ in range(100):
        async with demo.get("/__demo/open") as response:
            seen = await response.json()
        if seen["open"] == 0:
            break
        await asyncio.sleep(0.02)
    assert seen["open"] == 0
    assert len(seen["hung_up"]) == 1


@pytest.mark.asyncio
async def test_the_witness(demo: Demo) -> None:
    async with demo.post("/v1/files", data=b"\xff" * 1000, headers={"content-type": "multipart/form-data; boundary=x"}) as response:
        answer = await response.json()
    async with demo.get("/__demo/requests") as response:
        (record,) = (await response.json())["requests"]
    assert answer["size"] == record["size"] == 1000
    assert answer["sha256"] == record["sha256"]
    assert record["path"] == "/v1/files"
    assert ["content-type", "multipart/form-data; boundary=x"] in record["headers"]
    assert record["client_gone"] is None
    async with demo.delete("/__demo/requests"):
        pass
    async with demo.get("/__demo/requests") as response:
        assert (await response.json())["requests"] == []


@pytest.mark.asyncio
async def test_bodies_are_bounded(demo: Demo) -> None:
    large = body("openai", "word " * 100_000)
    async with demo.post(PATHS["openai"], json=large) as response:
        assert (await response.json())["usage"]["prompt_tokens"] == 100_003
    async with demo.post(PATHS["anthropic"], data=io.BytesIO(bytes((64 << 20) + 1))) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (413, "request_too_large")
