"""The callers' listener as others reach it: TLS, HTTP/1.1, 2 and 3, clients' certificates, and the PROXY protocol."""

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import trustme
import yaml

from tests.e2e import quic
from tests.e2e.certified import Folder, client_context, pair, written
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.sds import SecretServer
from tests.e2e.upstream import Demo

CLIENT = "ci.research.mesh.test"
MESH = {"workloads": [{"dns": "{key}.{tenant}.mesh.test"}]}
COMPLETIONS = "/v1/chat/completions"


class Door(NamedTuple):
    """A gateway with TLS, and what is needed to come in."""

    gateway: Gateway
    authority: trustme.CA
    folder: Folder
    client: tuple[str, str]
    """Somebody's certificate and key."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.gateway.port}"

    def ask(self, *, shown: bool = True, **more: Any) -> httpx.Response:
        """A request over a connection of its own."""
        context = client_context(self.authority, self.client if shown else None)
        headers = more.pop("headers", {})
        with httpx.Client(verify=context, timeout=20, **more) as client:
            return client.post(f"{self.url}{COMPLETIONS}", json=chat("Hello"), headers=headers)

    def certificate(self, name: str) -> str:
        """The first name of the certificate that is shown to whoever asks for that one."""
        context = client_context(self.authority, self.client)
        context.check_hostname = False
        connected = socket.create_connection(("127.0.0.1", self.gateway.port), 10)
        with connected as plain, context.wrap_socket(plain, server_hostname=name) as secure:
            found: Any = secure.getpeercert()
            return f"{found['subjectAltName'][0][1]}/{found['serialNumber']}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Door]:
    base: Path = tmp_path_factory.mktemp("door")
    authority, folder = trustme.CA(), Folder(base / "secret")
    folder.put(**pair(authority.issue_cert("localhost")))
    other = written(authority.issue_cert("other.test"), base, "other")
    authority.cert_pem.write_to_path(base / "clients.pem")
    tls = {
        "certificate": "secret/tls.crt", "key": "secret/tls.key", "certificates": [{"certificate": other[0], "key": other[1]}],
        "client_ca": "clients.pem", "client_certificate": "wanted", "minimum": "1.3",
    }  # fmt: skip
    listener = {"address": "::", "also": [f"127.0.0.1:{free_port()}"], "tls": tls, "http3": True}
    whole = {**config, "listener": listener, "callers": {"mesh": MESH}}
    with Gateway(base, whole) as running:
        yield Door(running, authority, folder, written(authority.issue_cert(CLIENT), base, "client"))


def test_each_version_of_http_is_spoken(door: Door, openai_provider: Demo) -> None:
    assert f"https://[::]:{door.gateway.port}" in door.gateway.log.read_text()
    first = door.ask(http2=False)
    assert (first.status_code, first.http_version) == (200, "HTTP/1.1")
    second = door.ask(http2=True)
    assert (second.status_code, second.http_version) == (200, "HTTP/2")
    told = f'h3=":{door.gateway.port}"; ma=86400'
    assert first.headers["alt-svc"] == second.headers["alt-svc"] == told
    third = quic.post(door.gateway.port, COMPLETIONS, chat("Hello"), authority=door.authority.cert_pem.bytes(), shown=door.client)
    assert (third.status, third.json()["object"]) == (200, "chat.completion")
    # At each of its addresses: by IPv6 and IPv4, and at another port.
    more = int(yaml.safe_load(door.gateway.path.read_text())["listener"]["also"][0].rpartition(":")[2])
    for place in (f"[::1]:{door.gateway.port}", f"127.0.0.1:{door.gateway.port}", f"127.0.0.1:{more}"):
        context = client_context(door.authority, door.client)
        context.check_hostname = False
        with httpx.Client(verify=context) as client:
            assert client.get(f"https://{place}/v1/models").status_code == 200
    assert quic.post(more, COMPLETIONS, chat("Hello"), authority=door.authority.cert_pem.bytes(), shown=door.client).status == 200
    assert len(openai_provider.requests()) == 4
    assert "x-forwarded-client-cert" not in str(openai_provider.requests())


def test_streams_come_by_http3(door: Door) -> None:
    body = chat("Hello", stream=True)
    answer = quic.post(door.gateway.port, COMPLETIONS, body, authority=door.authority.cert_pem.bytes(), shown=door.client)
    assert answer.status == 200 and answer.body.rstrip().endswith(b"data: [DONE]")


def test_a_client_is_known_by_its_certificate(door: Door) -> None:
    assert door.ask().status_code == 200
    # Nobody else is let in, whatever he says of himself.
    forged = {"x-forwarded-client-cert": f"DNS={CLIENT}"}
    for headers in ({}, forged):
        refused = door.ask(shown=False, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "missing_api_key")
    bare = quic.post(door.gateway.port, COMPLETIONS, chat("x"), authority=door.authority.cert_pem.bytes(), headers=forged)
    assert bare.status == 401
    assert ("research", "ci") in {(row["tenant"], row["key"]) for row in door.gateway.ledger("tenant,key", requests=1)}


def test_a_client_s_certificate_of_somebody_else_is_refused(door: Door, tmp_path: Path) -> None:
    stranger = door._replace(client=written(trustme.CA().issue_cert(CLIENT), tmp_path, "stranger"))
    with pytest.raises(httpx.TransportError):
        stranger.ask()
    old = client_context(door.authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.TransportError), httpx.Client(verify=old) as client:
        client.get(door.url)
    with pytest.raises(httpx.TransportError), httpx.Client() as client:
        client.get(f"http://localhost:{door.gateway.port}/")


def test_a_renewed_certificate_is_shown_without_a_reload(door: Door) -> None:
    """As Kubernetes renews it; and whoever is connected stays so."""
    assert door.certificate("other.test").startswith("other.test/")
    before = door.certificate("localhost")
    assert door.certificate("nobody.test") == before
    with httpx.Client(verify=client_context(door.authority, door.client)) as client:
        assert client.post(f"{door.url}{COMPLETIONS}", json=chat("Hello")).status_code == 200
        door.folder.put(**pair(door.authority.issue_cert("localhost")))
        door.gateway.until(lambda: door.certificate("localhost") != before, "the new one is shown")
        assert client.post(f"{door.url}{COMPLETIONS}", json=chat("Hello")).status_code == 200
    # What does not fit is not taken, and what was good goes on.
    good = door.certificate("localhost")
    door.folder.put(tls_crt=b"-----BEGIN", tls_key=b"nothing")
    assert door.certificate("localhost") == good
    door.folder.put(**pair(door.authority.issue_cert("localhost")))
    door.gateway.until(lambda: door.certificate("localhost") != good, "the next one is shown")
    answer = quic.post(door.gateway.port, COMPLETIONS, chat("x"), authority=door.authority.cert_pem.bytes(), shown=door.client)
    assert answer.status == 200


def test_another_envoy_takes_over_both_ports(door: Door) -> None:
    """Without a moment in which one of them is nobody's."""
    before = door.gateway.envoy()
    text = door.gateway.path.read_text()
    door.gateway.path.with_suffix(".new").write_text(f"{text}envoy_threads: 1\n")
    door.gateway.path.with_suffix(".new").replace(door.gateway.path)
    door.gateway.until(lambda: "envoy_threads has changed" in door.gateway.log.read_text(), "it has been read")
    done = door.gateway.run("upgrade", str(door.gateway.path))
    assert done.returncode == 0, done.stderr
    assert before in door.gateway.children("--config-path")
    assert door.ask().status_code == 200
    answer = quic.post(door.gateway.port, COMPLETIONS, chat("x"), authority=door.authority.cert_pem.bytes(), shown=door.client)
    assert answer.status == 200


# The PROXY protocol, and certificates that somebody else hands out.


def spoken_for(port: int, head: bytes, context: ssl.SSLContext) -> bytes:
    """The status line of a request on a connection that begins with `head`; empty where it is closed."""
    body = json.dumps(chat("Hello")).encode()
    request = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as client, contextlib.suppress(ConnectionError, ssl.SSLError):
        client.sendall(head)
        with context.wrap_socket(client, server_hostname="localhost") as secure:
            secure.sendall(request.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
            return secure.makefile("rb").readline()
    return b""


V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 192, 0, 2, 1, 0x9C, 0x40, 0x01, 0xBB])


def test_a_balancer_says_for_whom_it_speaks_and_an_agent_hands_out_certificates(tmp_path: Path, config: dict[str, Any]) -> None:
    authority, tls = trustme.CA(), {"sds": {"socket": "agent.sock", "certificate": "default", "authority": "ROOTCA"}}
    listener = {"tls": tls, "proxy_protocol": ["127.0.0.0/8"]}
    callers = {"mesh": {"workloads": [{"dns": CLIENT, "tenant": "research", "key": "ci"}]}}
    context = client_context(authority, written(authority.issue_cert(CLIENT), tmp_path, "client"))
    whole = {**config, "callers": callers, "listener": listener}
    with SecretServer(tmp_path / "agent.sock") as agent:
        first, second = authority.issue_cert("localhost"), authority.issue_cert("localhost")
        agent.put("default", certificate=first.cert_chain_pems[0].bytes(), key=first.private_key_pem.bytes())
        agent.trust("ROOTCA", authority.cert_pem.bytes())
        with Gateway(tmp_path, whole) as gateway:
            for head in (V1, V2):
                assert spoken_for(gateway.port, head, context) == b"HTTP/1.1 200 OK\r\n"
            # Who says nothing of the kind is let in no more, nor who shows no certificate.
            assert spoken_for(gateway.port, b"", context) == b""
            assert spoken_for(gateway.port, V1, client_context(authority)) == b""
            agent.put("default", certificate=second.cert_chain_pems[0].bytes(), key=second.private_key_pem.bytes())
            trusting = ssl.create_default_context(cadata=second.cert_chain_pems[0].bytes().decode())
            trusting.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            trusting.load_cert_chain(*(str(tmp_path / f"client.{kind}") for kind in ("crt", "key")))
            gateway.until(lambda: spoken_for(gateway.port, V1, trusting), "the new certificate is shown")
        gateway.write({**whole, "listener": {**listener, "proxy_protocol": ["198.51.100.0/24"]}})
        with gateway:
            assert spoken_for(gateway.port, V1, context) == b"", "the one who speaks is none of that network"
