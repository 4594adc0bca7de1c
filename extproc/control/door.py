"""An HTTP application on sockets that the next control process can go on with, so that nobody is refused in between."""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web


class Door:
    """One application, and where it listens."""

    def __init__(self, app: web.Application, *, patience: float) -> None:
        """`patience`: seconds that requests under way are given when it closes."""
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=patience)
        self._server: asyncio.Server | None = None

    async def open_path(self, path: Path, *, backlog: int, handed: Sequence[int] = ()) -> None:
        """Listens on a Unix socket. `handed`: descriptors of one that is listened on already, if there is one."""
        if handed:
            listening = socket.socket(fileno=handed[0])
        else:
            path.unlink(missing_ok=True)
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(path))
        await self._open(listening, backlog)

    async def open_port(self, address: str, port: int, *, handed: Sequence[int] = ()) -> None:
        """Listens on a TCP port. `handed`: as for `open_path`; they count only if they are of that address and port."""
        for listening in (socket.socket(fileno=descriptor) for descriptor in handed):
            if self._server is None and listening.getsockname()[:2] == (address, port):
                await self._open(listening, 128)
            else:
                listening.close()
        if self._server is None:
            await self._runner.setup()
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._protocol(), address, port, reuse_address=True, reuse_port=False)

    async def _open(self, listening: socket.socket, backlog: int) -> None:
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._protocol(), sock=listening, backlog=backlog)

    def _protocol(self) -> web.Server:
        server = self._runner.server
        assert server is not None
        return server

    @property
    def port(self) -> int:
        """That it listens on; 0 where it does not."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    def keep(self) -> list[int]:
        """Its sockets for the next control process: descriptors of their own. Whoever comes after `close` waits for that one."""
        return [os.dup(listening.fileno()) for listening in self._server.sockets] if self._server is not None else []

    async def close(self) -> None:
        """Lets nobody in any more, and gives those who are in their time."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
