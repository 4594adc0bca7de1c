"""HTTP/2 by hand, for what no ordinary client or server says: trailers of requests, and of answers."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

_PATIENCE = 20
"""Seconds."""
_FRAME = 16384
"""Bytes of a frame at most."""
Headers = dict[str, str]


class Said:
    """What one side of a stream said."""

    def __init__(self) -> None:
        self.headers: Headers = {}
        self.body = b""
        self.trailers: Headers | None = None
        self.cut = False

    def take(self, event: Event) -> None:
        """More of it."""
        match event:
            case RequestReceived() | ResponseReceived():
                self.headers = _texts(event.headers)
            case DataReceived():
                self.body += event.data
            case TrailersReceived():
                self.trailers = _texts(event.headers)
            case StreamReset():
                self.cut = True
            case _:
                pass


def _texts(headers: object) -> Headers:
    return {bytes(name).decode(): bytes(value).decode() for name, value in headers}  # type: ignore[attr-defined]


def ask(port: int, path: str, body: bytes, headers: Headers, trailers: Headers) -> Said:
    """One request over cleartext HTTP/2, and its answer. Without `trailers`, the body is its end. `body`: less than 64 KB."""
    connection, said = H2Connection(H2Configuration(client_side=True)), Said()
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as sock:
        connection.initiate_connection()
        pseudo = {":method": "POST", ":scheme": "http", ":authority": "localhost", ":path": path}
        connection.send_headers(1, [*(pseudo | headers).items()])
        for at in range(0, len(body), _FRAME):
            connection.send_data(1, body[at : at + _FRAME], end_stream=not trailers and at + _FRAME >= len(body))
        if trailers:
            connection.send_headers(1, [*trailers.items()], end_stream=True)
        sock.sendall(connection.data_to_send())
        while data := sock.recv(65536):
            for event in connection.receive_data(data):
                said.take(event)
                if isinstance(event, DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, StreamEnded | StreamReset):
                    return said
            sock.sendall(connection.data_to_send())
    said.cut = True
    return said


Answer = Callable[[H2Connection, int, Said], None]
"""Answers a request, on its stream."""


class Provider:
    """One that speaks HTTP/2 over TLS alone. `trusted`: the file of the authority that signed its certificate."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        authority = trustme.CA()
        self.trusted = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.trusted))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self._context)
        self._context.set_alpn_protocols(["h2"])
        self._answer = answer
        self.heard: list[Said] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Closing alone wakes nobody who waits for a connection.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._meet, args=(self._listening.accept()[0],), daemon=True).start()

    def _meet(self, sock: socket.socket) -> None:
        connection, asked = H2Connection(H2Configuration(client_side=False)), dict[int, Said]()
        with contextlib.suppress(OSError, ProtocolError), self._context.wrap_socket(sock, server_side=True) as secure:
            connection.initiate_connection()
            secure.sendall(connection.data_to_send())
            while data := secure.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, RequestReceived):
                        asked[event.stream_id] = Said()
                    if isinstance(event, RequestReceived | DataReceived | TrailersReceived):
                        asked[event.stream_id].take(event)
                    if isinstance(event, DataReceived):
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if isinstance(event, StreamEnded):
                        self.heard.append(one := asked.pop(event.stream_id))
                        self._answer(connection, event.stream_id, one)
                secure.sendall(connection.data_to_send())
