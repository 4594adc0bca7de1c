"""Both transports over TLS: who is trusted, and what is refused."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import trustme

from extproc.transport.http2.limits import Limits
from extproc.transport.tls import Tls, context
from tests.e2e.ports import free_port
from tests.frames import PREFACE, SETTINGS, parse, settings
from tests.transport.talk import KINDS, METHOD, UNBOUNDED, Scene, Stream, failure, server


class Certificates:
    """An authority, a server's certificate, a client's, and a stranger's."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        server = self.authority.issue_cert("localhost", "127.0.0.1")
        self.client = self.authority.issue_cert("envoy")
        self.strange = self.stranger.issue_cert("envoy")
        self.paths = {name: str(folder / f"{name}.pem") for name in ("certificate", "key", "client_ca")}
        server.private_key_pem.write_to_path(self.paths["key"])
        for blob in server.cert_chain_pems:
            blob.write_to_path(self.paths["certificate"], append=True)
        self.authority.cert_pem.write_to_path(self.paths["client_ca"])

    def tls(self, *, mutual: bool) -> Tls:
        return Tls(certificate=self.paths["certificate"], key=self.paths["key"], client_ca=self.paths["client_ca"] if mutual else "")

    def context(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """A client's, for sockets."""
        made = ssl.create_default_context()
        self.authority.configure_trust(made)
        if certificate is not None:
            certificate.configure_cert(made)
        return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


BOTH = [pytest.param((kind, mutual), id=f"{kind}-{'mtls' if mutual else 'tls'}") for kind in KINDS for mutual in (False, True)]


@pytest_asyncio.fixture(params=BOTH)
async def scene(request: pytest.FixtureRequest, certificates: Certificates) -> AsyncIterator[Scene]:
    kind, mutual = request.param
    made = Scene(kind, f"127.0.0.1:{free_port()}", tls=certificates.tls(mutual=mutual))
    await made.server.start()
    made.channel = channel(made, certificates, certificates.client if mutual else None)
    yield made
    await made.channel.close()
    await made.server.stop(0)


def channel(scene: Scene, certificates: Certificates, leaf: trustme.LeafCert | None, root: trustme.CA | None = None) -> grpc.aio.Channel:
    pair = (leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()) if leaf is not None else (None, None)
    credentials = grpc.ssl_channel_credentials((root or certificates.authority).cert_pem.bytes(), *pair)
    return grpc.aio.secure_channel(scene.address, credentials, options=UNBOUNDED)


async def test_calls(scene: Scene) -> None:
    assert await scene.talk(b"x", b"2", bytes(300_000)) == [b"x", b"2.0", b"2.1", bytes(300_000)]
    assert await scene.end() == "closed"


async def test_stopping_breaks_off(scene: Scene) -> None:
    stream = scene.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    async with asyncio.timeout(8):
        await scene.server.stop(0.1)
    assert scene.closed == 1
    assert (await failure(stream))[0] in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@pytest.mark.parametrize("scene", [(kind, True) for kind in KINDS], ids=KINDS, indirect=True)
@pytest.mark.parametrize("who", ["nobody", "stranger"])
async def test_clients_that_nobody_vouches_for(scene: Scene, certificates: Certificates, who: str) -> None:
    async with channel(scene, certificates, certificates.strange if who == "stranger" else None) as wrong:
        stream: Stream = wrong.stream_stream(METHOD)()
        assert (await failure(stream))[0] is grpc.StatusCode.UNAVAILABLE
    assert scene.opened == 0
    assert await scene.talk(b"x") == [b"x"]


@pytest.mark.parametrize("scene", [(kind, False) for kind in KINDS], ids=KINDS, indirect=True)
async def test_a_client_that_does_not_trust_the_server(scene: Scene, certificates: Certificates) -> None:
    async with channel(scene, certificates, None, certificates.stranger) as wrong:
        assert (await failure(wrong.stream_stream(METHOD)()))[0] is grpc.StatusCode.UNAVAILABLE
    assert await scene.talk(b"x") == [b"x"]


@pytest.mark.parametrize("scene", [(kind, False) for kind in KINDS], ids=KINDS, indirect=True)
@pytest.mark.parametrize("protocols", [[], ["http/1.1"]], ids=["none", "http/1.1"])
async def test_http2_has_to_be_agreed_on(scene: Scene, certificates: Certificates, protocols: list[str]) -> None:
    client = certificates.context()
    if protocols:
        client.set_alpn_protocols(protocols)
    host, _, port = scene.address.partition(":")
    heard = b""
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=client)
            writer.write(PREFACE + settings())
            heard = await reader.read(100)
            writer.close()
    except OSError:
        # It may have been refused in the handshake already.
        pass
    assert heard == b""


@pytest.mark.parametrize("scene", [("native", False)], ids=["native"], indirect=True)
async def test_http2_is_agreed_on(scene: Scene, certificates: Certificates) -> None:
    client = certificates.context()
    client.set_alpn_protocols(["http/1.1", "h2"])
    host, _, port = scene.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=client)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    assert parse(await reader.readexactly(9 + 24))[0].kind == SETTINGS
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("scene", [("native", False)], ids=["native"], indirect=True)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=lambda version: version.name)
async def test_old_versions_are_refused(scene: Scene, certificates: Certificates, version: ssl.TLSVersion) -> None:
    assert context(certificates.tls(mutual=False)).minimum_version is ssl.TLSVersion.TLSv1_2
    client = certificates.context()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.minimum_version = client.maximum_version = version
    host, _, port = scene.address.partition(":")
    with pytest.raises(OSError):  # noqa: PT011 - the words are the library's
        await asyncio.open_connection(host, int(port), ssl=client)


@pytest.mark.parametrize("scene", [(kind, False) for kind in KINDS], ids=KINDS, indirect=True)
@pytest.mark.parametrize(
    ("cipher", "allowed"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA", False),
    ],
)
async def test_ciphers_of_tls_1_2(scene: Scene, certificates: Certificates, cipher: str, *, allowed: bool) -> None:
    client = certificates.context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    client.set_alpn_protocols(["h2"])
    host, _, port = scene.address.partition(":")
    if not allowed:
        with pytest.raises(OSError):  # noqa: PT011 - the words are the library's
            await asyncio.open_connection(host, int(port), ssl=client)
        return
    _, writer = await asyncio.open_connection(host, int(port), ssl=client)
    assert writer.get_extra_info("cipher")[0] == cipher
    writer.close()


async def test_a_handshake_that_never_ends(certificates: Certificates) -> None:
    port = free_port()
    made = server("native", f"127.0.0.1:{port}", {}, tls=certificates.tls(mutual=False), limits=Limits(handshake=0.2))
    await made.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await made.stop(0)


@pytest.mark.parametrize("scene", [("native", False)], ids=["native"], indirect=True)
async def test_plain_http2_is_refused(scene: Scene) -> None:
    host, _, port = scene.address.partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, PREFACE + settings())
        heard = b""
        async with asyncio.timeout(10):
            try:
                while piece := await loop.sock_recv(client, 4096):
                    heard += piece
            except ConnectionError:
                pass
    # At most an alert of TLS.
    assert heard[:1] in {b"", b"\x15"}


@pytest.mark.parametrize("missing", ["certificate", "key", "client_ca"])
def test_certificates_that_cannot_be_read(certificates: Certificates, missing: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "nothing.pem", tmp_path / "empty.pem"):
        with pytest.raises(OSError):  # noqa: PT011 - see above
            context(Tls(**{**certificates.paths, missing: str(path)}))
