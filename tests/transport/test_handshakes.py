"""Handshakes that fail are counted and told, with the reason, once in a while."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import trustme
import uvloop

from extproc.transport.native import Server
from extproc.transport.tls import Handshakes, Tls
from tests.e2e.ports import free_port


class Parties:
    """A server's certificate, and clients of all kinds."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        pair = self.authority.issue_cert("127.0.0.1")
        pair.private_key_and_cert_chain_pem.write_to_path(folder / "pair.pem")
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.tls = Tls(certificate=str(folder / "pair.pem"), key=str(folder / "pair.pem"), client_ca=str(folder / "ca.pem"))

    def client(self, kind: str) -> ssl.SSLContext:
        made = ssl.create_default_context()
        (self.stranger if kind == "distrusts" else self.authority).configure_trust(made)
        if kind != "bare":
            (self.stranger if kind == "stranger" else self.authority).issue_cert("envoy").configure_cert(made)
        made.set_alpn_protocols(["h2"])
        return made


async def knock(server: Server, port: int, client: ssl.SSLContext | None) -> None:
    """One that is refused, or goes away again."""
    failed = server.handshakes_failed

    def talk() -> None:
        # A socket of its own: asyncio's client does not say why it goes.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            if client is None:
                plain.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                plain.recv(100)
            else:
                with client.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                    secured.recv(100)

    await asyncio.to_thread(talk)
    async with asyncio.timeout(10):
        while server.handshakes_failed == failed:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("bare", "the client showed no certificate"),
        ("stranger", "the client's certificate is not accepted: unable to get local issuer certificate (is it signed by `client_ca`?)"),
        ("distrusts", "the client does not accept our certificate, or gives up: unknown ca ("),
        ("plain", "the client does not speak TLS"),
    ],
)
def test_who_is_not_let_in(tmp_path: Path, caplog: pytest.LogCaptureFixture, loop: object, kind: str, said: str) -> None:
    parties, port = Parties(tmp_path), free_port()

    async def run() -> None:
        server = Server(f"127.0.0.1:{port}", {}, tls=parties.tls)
        await server.start()
        for _ in range(3):
            await knock(server, port, None if kind == "plain" else parties.client(kind))
        assert server.handshakes_failed == 3
        # Who only looks whether there is somebody is no news.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        await server.stop(0)
        assert server.handshakes_failed == 3

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(run())
    (line,) = [record.getMessage() for record in caplog.records if record.name == "extproc.transport.tls"]
    assert line.startswith(f"127.0.0.1:{port}: a TLS handshake failed: {said}")


def test_now_and_then(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: moment)
    handshakes, error = Handshakes("here"), ssl.SSLError(1, "odd")
    for _ in range(3):
        handshakes.tell(error)
    moment += 6
    handshakes.tell(error)
    first, second = [record.getMessage() for record in caplog.records]
    assert "since the last line" not in first
    assert second.endswith("(3 since the last line)")
    assert handshakes.failed == 4
