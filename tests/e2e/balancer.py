"""What stands in front of several gateways in Kubernetes, as processes here: addresses that come when `/readyz` says 200 and go some time
after the signal, and connections that are dealt out to them in turn, as kube-proxy does with an EndpointSlice.
"""

import asyncio
import contextlib
import os
import signal

import httpx

from tests.e2e.gateway import Gateway

LAG = 0.5
"""Seconds from the signal to the moment in which the address goes."""
_LOOK_EVERY = 0.05


class Balancer:
    """Takes connections, and hands each to an address; it knows nothing of what is said."""

    def __init__(self) -> None:
        self.addresses: list[int] = []
        """Ports of loopback that connections are given to."""
        self.given: dict[int, int] = {}
        """Connections by port."""
        self._turn = 0
        self._server: asyncio.Server
        self._joined: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> None:
        """Listens on loopback."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", port, backlog=1024)

    async def close(self) -> None:
        """Ends, and all connections with it."""
        self._server.close()
        for each in self._joined:
            each.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        self._turn += 1
        port = self.addresses[self._turn % len(self.addresses)]
        self.given[port] = self.given.get(port, 0) + 1
        try:
            there, other = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(_pass_on(reader, other), _pass_on(there, writer))
            finally:
                other.close()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._joined.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Replica:
    """One gateway behind the balancer."""

    def __init__(self, gateway: Gateway, balancer: Balancer) -> None:
        self.gateway = gateway
        self._balancer = balancer

    async def start(self) -> None:
        """Starts it, and returns when it has an address: the first moment in which it says that it is ready."""
        starting = asyncio.create_task(asyncio.to_thread(self.gateway.__enter__))
        async with httpx.AsyncClient(verify=False, timeout=20) as client:
            while not await self._ready(client):
                assert not starting.done() or starting.exception() is None, starting.exception()
                await asyncio.sleep(_LOOK_EVERY)
        self._balancer.addresses.append(self.gateway.port)
        await starting

    async def _ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.gateway.operator}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def end(self) -> None:
        """Asks it to end, and returns when its address has gone."""
        os.kill(self.gateway.pid, signal.SIGTERM)
        await asyncio.sleep(LAG)
        self._balancer.addresses.remove(self.gateway.port)

    def until_closed(self) -> None:
        """Returns when nobody new is let in, and it waits for what is under way."""
        self.gateway.until(lambda: "requests under way: " in self.gateway.log.read_text(), "it waits for what is under way")

    def stop(self) -> None:
        """Ends it at once, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.gateway.pid, signal.SIGTERM)
        self.gateway.stop()
