"""Recorded exchanges as providers: ways to play them again."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.dialects.traffic import Exchange

Play = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Long enough for Envoy to read a piece before the next one comes, in seconds.
_GAP = 0.001


def cuts(stream: bytes, seed: int, count: int = 40) -> list[int]:
    """Where to cut a stream: at random, and also within a character, within a blank line and within a line end where it has any."""
    choose = random.Random(seed)
    places = {choose.randrange(1, len(stream)) for _ in range(count)}
    inside = [at for at, byte in enumerate(stream) if byte & 0xC0 == 0x80]
    blank = [at + 1 for at in range(len(stream) - 1) if stream[at : at + 2] in (b"\n\n", b"\r\n")]
    for wanted in (inside, blank):
        places.update(choose.sample(wanted, min(len(wanted), count // 4)))
    return sorted(places)


def play(exchange: Exchange) -> Play:
    """A provider that says what was recorded, at once."""
    body = exchange.text.encode() if exchange.text else json.dumps(exchange.answer).encode()
    kind = "text/event-stream; charset=utf-8" if exchange.text else "application/json"

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=exchange.status, body=body, headers={"content-type": kind})

    return answer


def play_cut(stream: bytes, places: list[int], headers: dict[str, str] | None = None) -> Play:
    """A provider that sends a stream in pieces, each by itself."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **(headers or {})})
        await response.prepare(request)
        for begin, end in zip([0, *places], [*places, len(stream)], strict=True):
            await response.write(stream[begin:end])
            await asyncio.sleep(_GAP)
        await response.write_eof()
        return response

    return answer
