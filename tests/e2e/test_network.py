"""Headgate on another host than the Envoy that asks it: mutual TLS, on either transport, and what it says when it cannot."""

import os
import re
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
import yaml

from tests.e2e import starter
from tests.e2e.health import SERVING, ask, process
from tests.e2e.ports import free_port
from tests.e2e.test_attach import Beside, ask_anthropic, ask_openai, pasted, theirs, until
from tests.e2e.test_attach import config as attached_config
from tests.e2e.upstream import Demo, Scripted

TRANSPORTS = ("native", "grpcio")


class Authority:
    """Certificates of the workers, of an Envoy, and of somebody else's Envoy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        ours, theirs = trustme.CA(), trustme.CA()
        self.ca = ours.cert_pem.bytes()
        pairs = {"tls": ours.issue_cert("127.0.0.1"), "envoy": ours.issue_cert("envoy"), "stranger": theirs.issue_cert("envoy")}
        self.pairs = {name: (pair.private_key_pem.bytes(), pair.cert_chain_pems[0].bytes()) for name, pair in pairs.items()}
        (path / "ca.crt").write_bytes(self.ca)
        for name, (key, certificate) in self.pairs.items():
            (path / f"{name}.key").write_bytes(key)
            (path / f"{name}.crt").write_bytes(certificate)

    def credentials(self, name: str | None) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, *(self.pairs[name] if name else (None, None)))


class Distant(Beside):
    """Headgate on a network, and an Envoy that asks it there."""

    def __init__(self, transport: str, config: dict[str, Any], path: Path) -> None:
        self.transport, self.authority = transport, Authority(path)
        self.network: dict[str, Any] = {f"{name}_port": free_port() for name in ("gate", "adapter", "health")}
        tls = {"certificate": "tls.crt", "key": "tls.key", "client_ca": "ca.crt"}
        super().__init__({**config, "transport": transport, "workers": 2, "ext_proc": {**self.network, "tls": tls}}, path)

    def at(self, name: str) -> str:
        """Where one of the ports is."""
        return f"127.0.0.1:{self.network[f'{name}_port']}"

    def until_failed(self, handshakes: int) -> None:
        """Waits until the metrics tell of as many."""

        def told() -> bool:
            lines = httpx.get(f"{self.operator}/metrics", verify=False).text.splitlines()
            return sum(float(line.split()[-1]) for line in lines if line.startswith("ai_proxy_tls_handshakes_failed{")) >= handshakes

        until(told, f"{handshakes} failed handshakes are counted", 10)


@pytest.fixture(scope="module")
def app() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


@pytest.fixture(scope="module", params=TRANSPORTS)
def distant(request: pytest.FixtureRequest, openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Distant]:
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        config = attached_config(openai_provider, anthropic_provider)
        del config["providers"]["demo"], config["models"][2]
        beside = Distant(request.param, config, Path(path))
        printed = beside.run("compile", "attach", "gateway.yaml")
        # The files that it names are the operator's to put there.
        for name, file in (("tls.crt", "envoy.crt"), ("tls.key", "envoy.key"), ("ca.crt", "ca.crt")):
            assert f"/etc/envoy/headgate/{name}" in printed
            printed = printed.replace(f"/etc/envoy/headgate/{name}", f"{path}/{file}")
        printed = printed.replace("/run/headgate/", f"{path}/")
        with beside.running(pasted(theirs(beside.port, app), yaml.safe_load(printed))):
            yield beside


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["o", "a", "o-then-a", "a-then-o"])
def test_an_envoy_on_another_host_is_served(distant: Distant, model: str, stream: bool) -> None:
    assert "Hello" in ask_openai(distant, model, "Hello", stream)
    assert "Hello" in ask_anthropic(distant, model, "Hello [demo@openai: break-before-first]" if "then" in model else "Hello", stream)


def test_the_banner_says_where(distant: Distant) -> None:
    gate, adapter, checks = (distant.network[f"{name}_port"] for name in ("gate", "adapter", "health"))
    assert f"network    127.0.0.1: {gate} (gate), {adapter} (adapter), mutual TLS; {checks} (health)" in distant.log.read_text()


@pytest.mark.parametrize("name", ["gate", "adapter"])
def test_only_those_whom_the_authority_knows_get_in(distant: Distant, name: str) -> None:
    assert ask(distant.at(name), distant.authority.credentials("envoy")) == SERVING
    for credentials in (None, distant.authority.credentials(None), distant.authority.credentials("stranger")):
        with pytest.raises(grpc.RpcError) as raised:
            ask(distant.at(name), credentials)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    if distant.transport == "native":
        # Without TLS, without a certificate, with a stranger's: three of them, and at least the first has a line.
        assert f"{distant.at(name)}: a TLS handshake failed: the client " in distant.log.read_text()
        distant.until_failed(3)


def test_anybody_may_ask_for_health(distant: Distant) -> None:
    assert ask(distant.at("health")) == SERVING
    assert process(distant.at("health")) is grpc.StatusCode.UNIMPLEMENTED


def test_tls_is_new_enough(distant: Distant) -> None:
    context = ssl.create_default_context(cafile=str(distant.authority.path / "ca.crt"))
    context.load_cert_chain(distant.authority.path / "envoy.crt", distant.authority.path / "envoy.key")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", distant.network["gate_port"])) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        assert secured.version() in ("TLSv1.2", "TLSv1.3")


# What it says when it cannot.


def serve(path: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    provider = {"dialect": "openai", "base_url": "http://127.0.0.1:9", "key": "k"}
    document = {"providers": {"o": provider}, "models": [{"name": "m", "targets": ["o"]}], "state": "state", **more}
    (path / "gateway.yaml").write_text(yaml.safe_dump({**document, "admin": {"port": free_port()}, "api": {"address": "off"}}))
    return starter.run(["serve", "gateway.yaml", "--private", "--run-dir", str(path / "run")], environ=os.environ, folder=path)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = serve(tmp_path, ext_proc={"gate_port": free_port(), "adapter_port": port, "health_port": free_port()})
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken by" in done.stderr
    assert "`ext_proc: {adapter_port: ...}`" in done.stderr


@pytest.mark.parametrize("command", [["serve", "--private"], ["check", "--no-envoy"]])
def test_certificates_that_cannot_be_read(tmp_path: Path, command: list[str]) -> None:
    done = serve(tmp_path, ext_proc={"tls": {"certificate": "none.crt", "key": "none.key"}})
    assert done.returncode == 2
    done = starter.run(command, environ=os.environ, folder=tmp_path)
    assert done.returncode == 2
    for name, file in (("certificate", "none.crt"), ("key", "none.key")):
        assert re.search(
            rf"gateway\.yaml:\d+:\d+: error: \$\.ext_proc\.tls\.{name}: {re.escape(f'{tmp_path}/{file}')} cannot be read", done.stderr
        )
    assert "Traceback" not in done.stderr


def test_an_address_that_this_machine_has_not(tmp_path: Path) -> None:
    authority = tmp_path / "pki"
    authority.mkdir()
    Authority(authority)
    tls = {"certificate": "pki/tls.crt", "key": "pki/tls.key", "client_ca": "pki/ca.crt"}
    done = serve(tmp_path, ext_proc={"address": "203.0.113.1", "host": "127.0.0.1", "tls": tls})
    assert done.returncode == 1
    assert "port 50051 on 203.0.113.1 cannot be had: Cannot assign requested address" in done.stderr
    assert "Traceback" not in done.stderr
