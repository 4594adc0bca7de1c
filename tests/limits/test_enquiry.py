"""Prices that workers ask for: once, and remembered for a while."""

import asyncio
from decimal import Decimal

from extproc.limits import quotes
from extproc.limits.enquiry import RemoteQuotes
from extproc.limits.quotes import PRICE, NoQuotes
from extproc.link.client import Link
from extproc.link.server import LinkServer
from extproc.price import Price, Step

ONE = Price((Step(0, Decimal("0.001"), Decimal("0.002")),))


async def test_a_price_is_asked_for_once_and_remembered(socket_path: str) -> None:
    asked: list[tuple[str, str]] = []

    async def price(peer: object, payload: bytes) -> bytes:
        asked.append(quotes.read_asked(payload))
        await asyncio.sleep(0.01)
        return quotes.encode(ONE if asked[-1][1] == "known" else None)

    now = [0.0]
    server = LinkServer(socket_path, {PRICE: price})
    await server.start()
    link = Link(socket_path)
    link.start()
    assert await link.ready(10)
    found = RemoteQuotes(link, timeout=10, clock=lambda: now[0])
    assert await asyncio.gather(*(found.find("p", "known") for _ in range(3))) == [ONE] * 3
    assert await found.find("p", "known") == ONE and len(asked) == 1
    assert await found.find("p", "other") is None and await found.find("p", "other") is None and len(asked) == 2
    now[0] = 61.0
    assert await found.find("p", "known") == ONE and len(asked) == 3
    await server.close()
    await link.close()
    now[0] = 200.0
    assert await found.find("p", "known") is None, "nobody can tell"


async def test_nobody_knows() -> None:
    assert await NoQuotes().find("p", "m") is None
