"""Those who spend: each asks, one request after the other, and comes again when it is refused."""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from decimal import Decimal

from msgspec import Struct, field

CAP = 40
"""Tokens that an answer may have."""
_PATIENCE = 60.0
_AGAIN = 0.25
_LEFT = re.compile(rb"([0-9.]+) USD left, of up to ([0-9.]+) USD that")


class Seen(Struct):
    """What became of all requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    """0: there was no answer."""
    hung_up: int = 0
    needless: int = 0
    """Refused though there was room, as the refusal says."""


def request(port: int, model: str, *, stream: bool, number: int) -> bytes:
    """Text alone, and an answer that is capped. No two are the same."""
    asked = {"model": model, "messages": [{"role": "user", "content": f"{number}: " + "please " * 20}], "max_tokens": CAP, "stream": stream}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def spend(port: int, model: str, seen: Seen, seed: int, seconds: float) -> None:
    """One client, for so long."""
    loop, chance = asyncio.get_running_loop(), random.Random(seed)  # noqa: S311 - the same clients each time
    until = loop.time() + seconds
    # Not all in the same moment.
    await asyncio.sleep(chance.random())
    while loop.time() < until:
        status = await ask(port, model, seen, chance)
        if status != 200:
            await asyncio.sleep(_AGAIN * (1 + chance.random()))


async def ask(port: int, model: str, seen: Seen, chance: random.Random, *, patient: bool = False) -> int:
    """One request, whole or streamed; one in three is given up by its client, unless that is patient. Its status."""
    stays = patient or chance.random() > 1 / 3
    told = b""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request(port, model, stream=not patient and chance.random() < 0.5, number=chance.randrange(10**6)))
                if stays:
                    told = await reader.read(-1)
                else:
                    told = await _glance(reader, chance)
            finally:
                writer.transport.abort()
    status = int(told[9:12]) if told.startswith(b"HTTP/1.1 ") else 0
    seen.hung_up += not stays
    if stays or status:
        seen.statuses[status] += 1
    if (found := _LEFT.search(told)) is not None and Decimal(found[1].decode()) >= Decimal(found[2].decode()):
        seen.needless += 1
    return status


async def _glance(reader: asyncio.StreamReader, chance: random.Random) -> bytes:
    """The beginning of an answer, for a moment."""
    told = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(chance.random() * 1.5):
            while piece := await reader.read(65_536):
                told += piece
    return told
