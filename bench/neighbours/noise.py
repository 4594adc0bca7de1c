"""The noise, a process of its own: requests at a fixed rate, whatever comes of them.

    python -m bench.neighbours.noise PORT KEY RATE SIZE

Each line on its standard input is a number of seconds; it is answered by a line, a JSON object of how often each status came, after the
last answer. `late` is how many could not be sent at their time, because this process did not keep up, or all connections were in use.
"""

import asyncio
import json
import sys
import time
from collections import Counter

import uvloop

from bench.neighbours.client import Ask, Connection, connect, request

_CONNECTIONS = 256
_STEP = 0.005


class Noise:
    """An open loop over a pool of connections."""

    def __init__(self, ask: Ask, rate: float) -> None:
        self._ask = ask
        self._rate = rate
        self._idle: list[Connection] = []
        self._statuses: Counter[str] = Counter()
        self._open = self._busy = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def fill(self) -> None:
        """Opens connections in place of those that were closed."""
        while self._open < _CONNECTIONS:
            self._idle.append(await connect(self._ask, self._told))
            self._open += 1

    async def run(self, seconds: float) -> dict[str, int]:
        """Asks for so long."""
        self._statuses.clear()
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            await self.fill()
            for _ in range(int(now * self._rate) - sent):
                self._send()
                sent += 1
            await asyncio.sleep(_STEP)
        async with asyncio.timeout(30):
            await self._quiet.wait()
        return dict(self._statuses)

    def _send(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                self._busy += 1
                self._quiet.clear()
                connection.send()
                return
            self._open -= 1
        self._statuses["late"] += 1

    def _told(self, connection: Connection, status: int, took: float) -> None:
        self._busy -= 1
        if not self._busy:
            self._quiet.set()
        self._statuses[str(status)] += 1
        if connection.open:
            self._idle.append(connection)
        else:
            self._open -= 1


async def _main(port: int, key: str, rate: float, size: int) -> None:
    noise = Noise(Ask(port, request(port, key, size)), rate)
    await noise.fill()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await noise.run(float(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
