"""The section `ext_proc`: nobody opens the gate to a network by accident."""

from pathlib import Path

import pytest

from extproc.config.load import Loaded
from extproc.config.network import reached_by
from tests.config.settings import Load

BASE = """
providers:
  p: {{dialect: openai, base_url: "https://h", key: "env:KEY"}}
models:
- {{name: m, targets: [p]}}
ext_proc: {ext_proc}
"""
TLS = "{certificate: tls.crt, key: tls.key, client_ca: ca.crt}"


def told(loaded: Loaded, severity: str = "error") -> list[tuple[str, int, str]]:
    return [(problem.path, problem.line, problem.message) for problem in loaded.problems if problem.severity == severity]


def read(load_text: Load, ext_proc: str, **more: str) -> Loaded:
    text = BASE.format(ext_proc=ext_proc) + "".join(f"{key}: {value}\n" for key, value in more.items())
    return load_text(text, {"KEY": "sk-1"})


@pytest.mark.parametrize(
    ("ext_proc", "host"),
    [
        ("{}", "127.0.0.1"),
        ("{address: '::1'}", "::1"),
        (f"{{address: 10.0.0.7, tls: {TLS}}}", "10.0.0.7"),
        (f"{{address: 0.0.0.0, host: headgate.ai.svc, tls: {TLS}}}", "headgate.ai.svc"),
        (f"{{address: '::', host: '2001:db8::1', tls: {TLS}}}", "2001:db8::1"),
        ("{tls: {certificate: tls.crt, key: tls.key}}", "127.0.0.1"),
    ],
)
def test_what_is_right(load_text: Load, ext_proc: str, host: str) -> None:
    loaded = read(load_text, ext_proc)
    assert loaded.problems == []
    assert loaded.config is not None
    assert loaded.config.ext_proc is not None
    assert reached_by(loaded.config.ext_proc) == host


def test_without_it_there_is_no_network(load_text: Load) -> None:
    loaded = read(load_text, "")
    assert loaded.config is not None
    assert loaded.config.ext_proc is None


@pytest.mark.parametrize(
    ("ext_proc", "path", "part"),
    [
        ("{address: 10.0.0.7}", "$.ext_proc.tls", "is told the providers' keys: this needs `tls`"),
        ("{address: 10.0.0.7, tls: }", "$.ext_proc.tls", "this needs"),
        ("{address: 10.0.0.7, tls: {certificate: c, key: k, client_ca: }}", "$.ext_proc.tls.client_ca", "this needs"),
        (
            "{address: 10.0.0.7, tls: {certificate: c, key: k}}",
            "$.ext_proc.tls.client_ca",
            "told the providers' keys: this needs `client_ca`",
        ),
        (f"{{address: 0.0.0.0, tls: {TLS}}}", "$.ext_proc.host", "nobody can ask for 0.0.0.0"),
        (f"{{address: headgate, tls: {TLS}}}", "$.ext_proc.address", "an IP address is needed"),
        ("{health_address: localhost}", "$.ext_proc.health_address", "such as 127.0.0.1"),
        ("{host: a b}", "$.ext_proc.host", "neither a name of a host nor an address"),
        ("{gate_port: 50052}", "$.ext_proc.adapter_port", "is $.ext_proc.gate_port already"),
        ("{health_port: 9180}", "$.ext_proc.health_port", "is $.admin.port already"),
        ("{adapter_port: 8080}", "$.ext_proc.adapter_port", "is $.listener.port already"),
        ("{gate_prot: 1}", "$.ext_proc.gate_prot", 'did you mean "gate_port"?'),
        ("{tls: {certificate: c}}", "$.ext_proc.tls", 'the key "key" is missing'),
    ],
)
def test_mistakes(load_text: Load, ext_proc: str, path: str, part: str) -> None:
    loaded = read(load_text, ext_proc)
    assert loaded.config is None
    assert [(found, line, part in message) for found, line, message in told(loaded)] == [(path, 6, True)]


def test_the_file_itself_instead_of_its_path(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "tls.crt").chmod(0o600)
    loaded = read(load_text, "{tls: {certificate: file:tls.crt, key: k}}")
    assert told(loaded) == [
        ("$.ext_proc.tls.certificate", 6, "the path of a PEM file is wanted here, not what is in it: leave `file:` out")
    ]


def test_paths_are_relative_to_the_configuration(load_text: Load, tmp_path: Path) -> None:
    loaded = read(load_text, "{tls: {certificate: tls.crt, key: /etc/tls.key, client_ca: '${DIR:-a}/ca.crt'}}")
    assert loaded.config is not None
    assert loaded.config.ext_proc is not None
    tls = loaded.config.ext_proc.tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.client_ca) == (f"{tmp_path}/tls.crt", "/etc/tls.key", f"{tmp_path}/a/ca.crt")


@pytest.mark.parametrize(("ext_proc", "warned"), [("{}", False), (f"{{address: 10.0.0.7, tls: {TLS}}}", True)])
def test_the_demo_provider_is_on_this_machine(load_text: Load, ext_proc: str, warned: bool) -> None:
    text = BASE.format(ext_proc=ext_proc).replace('base_url: "https://h", key: "env:KEY"', 'base_url: "demo:"')
    warnings = told(load_text(text), "warning")
    assert [path for path, _, _ in warnings] == ["$.providers.p.base_url"] * warned


@pytest.mark.parametrize(("transport", "right"), [("native", True), ("grpcio", True), ("grpc", False)])
def test_transports(load_text: Load, transport: str, right: bool) -> None:
    loaded = read(load_text, "", transport=transport)
    assert (loaded.config is not None) == right
    if loaded.config is not None:
        assert loaded.config.transport == transport
