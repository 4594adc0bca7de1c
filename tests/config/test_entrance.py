from pathlib import Path

import pytest

from extproc.config.load import load

BASE = "providers: {demo: {dialect: openai, base_url: 'demo:'}}\nmodels: [{name: demo, targets: [demo]}]\n"
PAIR = "certificate: a.pem, key: a.key"


def problems(tmp_path: Path, listener: str, more: str = "") -> list[tuple[str, str]]:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{BASE}listener: {listener}\n{more}")
    return [(one.path, one.message) for one in load(path, {}).problems]


@pytest.mark.parametrize(
    ("listener", "where", "words"),
    [
        ("{tls: {}}", "$.listener.tls", "there is no certificate"),
        ("{tls: {certificate: a.pem}}", "$.listener.tls", "go together"),
        (f"{{tls: {{{PAIR}, sds: {{socket: a.sock}}}}}}", "$.listener.tls.sds", "take one of them out"),
        ("{tls: {sds: {socket: a.sock, authority: b}, client_ca: a.pem}}", "$.listener.tls.client_ca", "take one of them out"),
        (f"{{tls: {{{PAIR}, client_certificate: wanted}}}}", "$.listener.tls.client_certificate", "no effect"),
        ("{tls: {certificate: '-----BEGIN x', key: a.key}}", "$.listener.tls.certificate", "the path of a PEM file"),
        ("{http3: true}", "$.listener.http3", "with TLS alone"),
        ("{http3_port: 443}", "$.listener.http3_port", "no effect"),
        (f"{{tls: {{{PAIR}}}, http3: true, open: true, proxy_protocol: [10.0.0.0/8]}}", "$.listener.http3", "is for TCP"),
        ("{open: true, proxy_protocol: [10.0.0.1/8]}", "$.listener.proxy_protocol[0]", "host bits"),
        ("{also: ['127.0.0.1:0']}", "$.listener.also[0]", "from 1 to 65535"),
        ("{also: ['127.0.0.1:8080']}", "$.listener.also[0]", "taken by an address before it"),
        ("{also: ['127.0.0.1:9180']}", "$.admin.port", "has the port 9180 already"),
        ("{also: ['127.0.0.1:9181']}", "$.api.address", "has the port 9181 already"),
        ("{also: ['0.0.0.0:8081']}", "$.listener.address", "others can reach 0.0.0.0"),
        ("{proxy_protocol: [10.0.0.0/8]}", "$.listener.proxy_protocol", "there are no callers' keys"),
        ("{tls: {certificate: 1}}", "$.listener.tls", "go together"),
    ],
)
def test_what_is_wrong(tmp_path: Path, listener: str, where: str, words: str) -> None:
    ((path, message),) = problems(tmp_path, listener)
    assert path == where and words in message


def test_paths_begin_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    more = "certificates: [{certificate: b.pem, key: /k/b.key}]"
    path.write_text(f"{BASE}listener: {{tls: {{{PAIR}, {more}, client_ca: ca.pem}}, http3: true, proxy_protocol: []}}\n")
    loaded = load(path, {})
    assert loaded.config is not None and loaded.problems == []
    tls = loaded.config.listener.tls
    assert tls is not None and tls.checks and tls.client_ca == str(tmp_path / "ca.pem")
    assert [one.certificate for one in tls.files] == [str(tmp_path / "a.pem"), str(tmp_path / "b.pem")]
    assert [one.key for one in tls.files] == [str(tmp_path / "a.key"), "/k/b.key"]


def test_who_shows_a_certificate_to_the_listener_is_known_without_trust_in_anybody(tmp_path: Path) -> None:
    mesh = "callers: {mesh: {workloads: [{dns: '{key}.a'}]}}\n"
    tls = f"tls: {{{PAIR}, client_ca: ca.pem}}"
    assert problems(tmp_path, f"{{address: 0.0.0.0, {tls}}}", mesh) == []
    ((path, message),) = problems(tmp_path, "{}", mesh)
    assert path == "$.callers.mesh" and "tls.client_ca" in message
