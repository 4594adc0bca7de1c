"""No token of a stream waits in the gateway, and a client that reads slowly costs no memory.

Delays are measured against the same provider asked directly, in runs that take turns, so that a busy machine slows both alike.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.books import entry
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo, Scripted

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MAKE = {"openai": chat, "anthropic": message}
# Without certificates, which take longer to load than most requests; and a connection for each request, as most clients have.
CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))
_log = logging.getLogger(__name__)
GAP = 0.03
WORDS = 8
RUNS, MOST_RUNS = 3, 20
"""How many there are; and how many on a machine that is busy."""
# Of the median; a gateway that held an event back until the next one would add a whole gap.
MOST = 0.02
WAYS = {
    "same dialect": ("openai", "demo", "openai"),
    "same dialect, Anthropic": ("anthropic", "claude-x", "anthropic"),
    "translated to OpenAI": ("openai", "claude-x", "anthropic"),
    "translated to Anthropic": ("anthropic", "gpt-x", "openai"),
    "adapter, same dialect": ("openai", "o-then-a", "openai"),
    "adapter, translated": ("openai", "a-then-o", "anthropic"),
}


def arrivals(base: str, dialect: str, model: str) -> list[float]:
    """Seconds from the request to each word of the answer."""
    document = MAKE[dialect](f"Slowly. [demo: tokens={WORDS} gap={GAP}]", model, stream=True)
    seen: list[float] = []
    with httpx.Client(verify=False) as client:
        headers = {"anthropic-version": "2023-06-01"} if dialect == "anthropic" else {}
        began = time.perf_counter()
        with client.stream("POST", base + PATHS[dialect], json=document, headers=headers) as answer:
            for piece in answer.iter_text():
                seen += [time.perf_counter() - began] * piece.count('"word') + [time.perf_counter() - began] * piece.count('" word')
    assert len(seen) == WORDS
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_every_event_is_passed_on_at_once(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, way: str) -> None:
    dialect, model, spoken = WAYS[way]
    provider = {"openai": openai_provider, "anthropic": anthropic_provider}[spoken]
    arrivals(gateway.url, dialect, model)
    runs: list[list[float]] = []
    gaps: list[float] = []
    for _ in range(MOST_RUNS):
        directly = arrivals(provider.url, spoken, "demo")
        through = arrivals(gateway.url, dialect, model)
        runs.append([there - here for there, here in zip(through, directly, strict=True)])
        gaps.append(statistics.median(later - earlier for earlier, later in itertools.pairwise(through)))
        # What else the machine does comes on top, and not in every run.
        first, *added = map(min, zip(*runs, strict=True))
        # Each comes by itself: none waited for another. A machine that pauses hands over several at once, but not in every run.
        if len(runs) >= RUNS and max(gaps) > GAP * 0.7 and max(first, statistics.median(added)) < MOST:
            break
    _log.info("%s: first event +%.1f ms, others +%.1f ms (least; median of them)", way, first * 1000, statistics.median(added) * 1000)
    assert max(gaps) > GAP * 0.7
    assert first < MOST
    assert statistics.median(added) < MOST


# A slow reader.

FLOODS = [("openai", "flood"), ("anthropic", "flood"), ("openai", "flood-then-o"), ("anthropic", "flood-then-o")]
# Not so many that the gate ends a stream for its speed (`streaming.FLOOD`).
BYTES = 12 * 1024 * 1024
# What Envoy may hold for one client that does not read, before the gate and behind it; and what all the rest may vary by.
HELD = 2 * 64 * 1024 * 1024
SLACK = 64 * 1024 * 1024
EVENT = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'


@pytest.fixture(scope="module")
def flood() -> Iterator[Scripted]:
    """A provider that streams 12 MiB as fast as it can."""
    event = EVENT % (b"x" * 8000)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(BYTES // len(event) + 1):
            await response.write(event)
        finish = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
        await response.write(f"data: {json.dumps({**finish, 'choices': [choice]})}\n\n".encode())
        await response.write(f"data: {json.dumps({**finish, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())
        return response

    with Scripted(answer) as provider:
        yield provider


@pytest.fixture(scope="module")
def flooded(flood: Scripted, openai_provider: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config: dict[str, Any] = {
        "providers": {
            "f": {"dialect": "openai", "base_url": f"{flood.url}/v1"},
            "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1"},
        },
        "models": [{"name": "flood", "targets": ["f/m"]}, {"name": "flood-then-o", "targets": ["f/m", "o/m"]}],
        # A lower bound on whole answers makes no room for a slow client's stream smaller: Envoy would crash.
        "limits": {"request_body": 1024 * 1024, "response_body": 1024 * 1024},
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def read_slowly(gateway: Gateway, dialect: str, model: str, watched: list[int]) -> tuple[int, list[int], str]:
    """Reads a stream with a small window, resting at times; bytes, the peak of each watched process' growth, and the request id."""
    content = json.dumps(MAKE[dialect]("Go", model, stream=True)).encode()
    before = [memory(pid) for pid in watched]
    peak = [0] * len(watched)
    size, head = 0, b""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", gateway.port))
        start = f"POST {PATHS[dialect]} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{start}content-length: {len(content)}\r\n\r\n".encode() + content)
        while piece := connection.recv(256 * 1024):
            if size < 4096:
                head += piece
            # A rest with each MiB of the stream, each long enough for the provider to fill whatever takes more.
            if size // (1 << 20) != (size + len(piece)) // (1 << 20):
                time.sleep(0.05)
                peak = [max(most, memory(pid) - base) for most, pid, base in zip(peak, watched, before, strict=True)]
            size += len(piece)
    headers = dict(line.split(": ", 1) for line in head.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:])
    return size, peak, headers["x-request-id"]


@pytest.mark.parametrize(("dialect", "model"), FLOODS)
def test_a_slow_reader_costs_no_memory(flooded: Gateway, dialect: str, model: str) -> None:
    watched = [flooded.envoy(), *flooded.workers(), flooded.pid]
    size, peak, id = read_slowly(flooded, dialect, model, watched)
    assert size > BYTES * 0.9
    _log.info("%s %s: growth of Envoy, worker and control process in KiB: %s", dialect, model, [grown >> 10 for grown in peak])
    assert all(grown < BYTES + SLACK for grown in peak)
    found = entry(flooded, id)
    assert (found["outcome"], found["input"], found["output"], found["partial"]) == ("complete", 7, 9, 0)


def test_a_client_that_stops_reading_stops_the_provider(flooded: Gateway, flood: Scripted) -> None:
    """Nothing is read ahead without bound. The kernel's own buffers, tens of MiB on some machines, are nobody's memory here."""
    sent, usual = 0, flood.handler
    seen: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        event = EVENT % (b"x" * 8000)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(event)
                sent += len(event)
                await asyncio.sleep(0)
        return response

    def stalled() -> bool:
        seen.append(sent)
        return len(seen) > 100 and seen[-1] == seen[-100] > 0

    watched = [flooded.envoy(), *flooded.workers()]
    before = [memory(pid) for pid in watched]
    flood.handler = answer
    try:
        with CLIENT.stream("POST", flooded.url + PATHS["openai"], json=chat("Go", "flood", stream=True)) as reply:
            next(reply.iter_raw())
            flooded.until(stalled, "the provider can send no more")
            grown = [memory(pid) - base for pid, base in zip(watched, before, strict=True)]
    finally:
        flood.handler = usual
    _log.info("held back after %d KiB; growth of Envoy and worker in KiB: %s", sent >> 10, [one >> 10 for one in grown])
    assert grown[0] < HELD + SLACK
    assert grown[1] < SLACK
