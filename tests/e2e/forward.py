"""A forward proxy (CONNECT) of the kind that offices have: it wants a password, and looks names up by itself."""

import asyncio
import base64
import contextlib
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.e2e.ports import free_port


class ForwardProxy:
    """Serves on a port of loopback, from `with` to its end. `hosts`: which port of this machine it connects to, by name and port."""

    def __init__(self, hosts: dict[str, int], user: str = "", context: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.asked: list[str] = []
        """What it has been asked for, also what it has refused."""
        self._hosts = hosts
        self._wanted = f"Basic {base64.b64encode(user.encode()).decode()}" if user else ""
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, _, rest = head.partition("\r\n")
            headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest.split("\r\n"))}
            method, target, _ = line.split(" ")
            self.asked.append(f"{method} {target}")
            if headers.get("proxy-authorization", "") != self._wanted:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            elif method != "CONNECT" or target not in self._hosts:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            else:
                there, back = await asyncio.open_connection("127.0.0.1", self._hosts[target])
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_carry(reader, back), _carry(there, writer))
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
