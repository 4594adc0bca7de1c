"""Receivers of notifications: real servers that take HTTP and SMTP, and events to tell them of."""

import asyncio
import base64
import ssl
from email import message_from_bytes
from email.message import Message
from typing import Any, Self

from aiohttp import web

from extproc.notifications.event import Event

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of thirty-two bytes.").decode()


def event(number: int = 1, **changes: Any) -> Event:
    """A breaker that has opened."""
    data = {"provider": "p", "model": f"m{number}", "key": None, "reason": "503", "again_in": 60.0}
    return Event(**{"type": "breaker.opened", "subject": f"p|m{number}|", "data": data, **changes})


class Hook:
    """Takes webhooks, as it is told to."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.statuses: list[int] = []
        """Of the next answers; 200 when they are used up."""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.taken: list[tuple[dict[str, str], bytes]] = []
        """Headers and bodies, also of those that were refused."""
        self.silent = False
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._runner.addresses[0][1]}/hook?token=t0ken"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.taken.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        while self.silent:
            await asyncio.sleep(0.01)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.headers, body=self.body)


class MailServer:
    """Speaks as much SMTP (RFC 5321) as a client needs that sends mails, with TLS and a password where it is told to."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = "") -> None:
        self.mails: list[Message] = []
        self.recipients: list[list[str]] = []
        self.logins: list[str] = []
        self.replies: dict[str, str] = {}
        """Instead of the usual ones, by the command's first word."""
        self.unknown = ""
        """A recipient whom it does not know."""
        self.port = 0
        self._tls, self._implicit, self._password = tls, implicit, password

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls if self._implicit else None)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        to: list[str] = []
        try:
            while line := (await reader.readline()).decode():
                word = line.split(maxsplit=1)[0].upper()
                if word in self.replies:
                    writer.write(f"{self.replies[word]}\r\n".encode())
                elif word == "EHLO":
                    more = ["250-STARTTLS"] if self._tls is not None and not self._implicit else []
                    writer.write("\r\n".join(["250-mail.test", *more, "250 AUTH PLAIN", ""]).encode())
                elif word == "STARTTLS":
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(self._tls)  # type: ignore[arg-type]
                elif word == "AUTH":
                    said = base64.b64decode(line.split()[2]).decode().split("\0")
                    self.logins.append(said[1])
                    writer.write(b"235 yes\r\n" if said[2] == self._password else b"535 5.7.8 wrong\r\n")
                elif word == "RCPT":
                    name = line.partition("<")[2].partition(">")[0]
                    to += [name] if name != self.unknown else []
                    writer.write(b"250 ok\r\n" if name != self.unknown else b"550 5.1.1 unknown\r\n")
                elif word == "DATA":
                    writer.write(b"354 go\r\n")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(message_from_bytes(body[:-3].replace(b"\r\n..", b"\r\n.")))
                    self.recipients.append(to)
                    to = []
                    writer.write(b"250 taken\r\n")
                elif word == "QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 ok\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def until(true: Any, seconds: float = 30.0) -> None:
    """Waits until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
