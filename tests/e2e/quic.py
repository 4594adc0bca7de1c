"""A client of HTTP/3 (aioquic): one request over a connection of its own."""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple, cast

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _Client(QuicConnectionProtocol):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._http = H3Connection(self._quic)
        self._headers: dict[str, str] = {}
        self._body = b""
        self._answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def ask(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        stream = self._quic.get_next_available_stream_id()
        told = {":method": "POST", ":scheme": "https", ":authority": "localhost", ":path": path, **headers}
        self._http.send_headers(stream, [(name.encode(), value.encode()) for name, value in told.items()])
        self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await self._answered

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self._http.handle_event(event):
            self._take(each)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._headers |= {name.decode(): value.decode() for name, value in event.headers}
        if isinstance(event, DataReceived):
            self._body += event.data
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended and not self._answered.done():
            self._answered.set_result(Answer(int(self._headers[":status"]), self._headers, self._body))


def post(
    port: int,
    path: str,
    body: dict[str, Any],
    *,
    authority: bytes,
    shown: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Asks `https://localhost:PORT`. `authority`: who vouches for it, in PEM. Raises `ConnectionError` where there is no connection."""

    async def ask() -> Answer:
        configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost", cadata=authority)
        if shown is not None:
            configuration.load_cert_chain(Path(shown[0]), Path(shown[1]))
        async with connect("127.0.0.1", port, configuration=configuration, create_protocol=_Client) as client:
            told = {"content-type": "application/json", **(headers or {})}
            return await cast("_Client", client).ask(path, json.dumps(body).encode(), told)

    return asyncio.run(asyncio.wait_for(ask(), 20))
