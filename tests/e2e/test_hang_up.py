"""A client that hangs up ends its provider's request at once, wherever that has got to: seen at the provider's own socket."""

import contextlib
import json
import logging
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.test_bulky import beside

MOST = 20.0
"""Seconds; it takes some milliseconds, and without a hang-up all of these would last for minutes."""
MANY = 30_000
"""Messages of a body that is translated beside the worker: some tenths of a second."""
_log = logging.getLogger(__name__)

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "so"}}]}
_EVENT = b"data: " + json.dumps(_CHUNK).encode() + b"\n\n"
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Provider(socketserver.ThreadingTCPServer):
    """One that does what it is told, and notes when each of its connections is asked something, and when it is closed."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, does: str) -> None:
        self.does = does
        self.asked: list[float] = []
        self.closed: list[float] = []
        super().__init__(("127.0.0.1", free_port()), _Connection)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Connection(socketserver.StreamRequestHandler):
    server: Provider

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline().lower()) not in (b"\r\n", b""):
            length = int(line.split()[1]) if line.startswith(b"content-length:") else length
        self.rfile.read(length)
        does = self.server.does
        self.server.asked.append(time.monotonic())
        if does == "refuse":
            self.wfile.write(_REFUSED)
            return
        if does in ("head", "stream"):
            self.wfile.write(_HEAD)
        if does == "stream":
            self.wfile.write(b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT))
        # Nothing more comes from a client that waits for an answer.
        with contextlib.suppress(ConnectionError):
            self.rfile.read(1)
        self.server.closed.append(time.monotonic())


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Provider]]:
    with contextlib.ExitStack() as stack:
        made = {does: stack.enter_context(Provider(does)) for does in ("silent", "head", "stream", "refuse")}
        yield made
        for provider in made.values():
            provider.shutdown()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Provider]) -> Iterator[Gateway]:
    config = {
        "providers": {
            **{name: {"dialect": "openai", "base_url": one.url} for name, one in providers.items()},
            "foreign": {"dialect": "anthropic", "base_url": providers["silent"].url},
        },
        "models": [
            {"name": "+".join(names), "targets": [f"{name}/m" for name in names]}
            for names in (
                ("silent",), ("stream",), ("foreign",), ("silent", "stream"), ("refuse", "silent"), ("head", "refuse"),
                ("refuse", "stream"), ("refuse", "foreign"),
            )
        ],
    }  # fmt: skip
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def ask(gateway: Gateway, body: bytes) -> socket.socket:
    """A connection on which that has been asked."""
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


CASES = {
    "the only target": ("silent", "silent", False),
    "the only target, in mid-stream": ("stream", "stream", True),
    "the first of two": ("silent+stream", "silent", False),
    "the second of two": ("refuse+silent", "silent", False),
    "the second of two, in mid-stream": ("refuse+stream", "stream", True),
    "held back by the adapter": ("head+refuse", "head", False),
}


def hang_up(gateway: Gateway, connection: socket.socket, provider: Provider, closed: int) -> float:
    """Seconds until the provider's connection is closed, too."""
    hung_up = time.monotonic()
    connection.close()
    gateway.until(lambda: len(provider.closed) > closed, "the provider's connection is closed")
    return provider.closed[-1] - hung_up


@pytest.mark.parametrize("case", CASES)
def test_the_providers_connection_is_closed(gateway: Gateway, providers: dict[str, Provider], case: str) -> None:
    model, last, streaming = CASES[case]
    provider = providers[last]
    asked, closed = len(provider.asked), len(provider.closed)
    with ask(gateway, json.dumps(chat("Hello", model, stream=last != "silent")).encode()) as connection:
        seen = b""
        while streaming and b'"so"' not in seen:
            seen += connection.recv(65536)
        gateway.until(lambda: len(provider.asked) > asked, "the provider has been asked")
        if last == "head":
            # What is held back cannot be seen from outside; the provider's head takes a millisecond to get there.
            time.sleep(0.1)
        took = hang_up(gateway, connection, provider, closed)
    _log.info("%s: closed %.1f ms after the client had hung up", case, took * 1000)
    assert 0 < took < MOST


BULKY = {"the only target": "foreign", "the second of two": "refuse+foreign"}


@pytest.mark.parametrize("case", BULKY)
def test_a_bulky_body(gateway: Gateway, providers: dict[str, Provider], case: str) -> None:
    """Translated beside the worker: a provider that is asked already loses its client, and one that is not is never asked."""
    provider = providers["silent"]
    asked, closed = len(provider.asked), len(provider.closed)
    messages = [{"role": ("user", "assistant")[at % 2], "content": "so"} for at in range(MANY)]
    body = json.dumps({**chat("", BULKY[case]), "messages": messages}).encode()
    with ask(gateway, body) as connection:
        gateway.until(lambda: len(provider.asked) > asked, "the provider has been asked")
        took = hang_up(gateway, connection, provider, closed)
    _log.info("a bulky body, %s: closed %.1f ms after the client had hung up", case, took * 1000)
    assert 0 < took < MOST
    (maker,) = beside(gateway)
    os.kill(maker, signal.SIGSTOP)
    with ask(gateway, body):
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):  # it ends with the job that nobody waits for any more
        os.kill(maker, signal.SIGCONT)
    # The next one's is made after it.
    asked = len(provider.asked)
    with ask(gateway, body):
        gateway.until(lambda: len(provider.asked) > asked, "the provider has been asked")
    assert len(provider.asked) == asked + 1
    gateway.until(lambda: len(provider.closed) == len(provider.asked), "that one's connection is closed, too")
