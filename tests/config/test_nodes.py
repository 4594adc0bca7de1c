"""The section `fleet`: no control plane is opened to a network by accident, and no secret is told in clear."""

from pathlib import Path

import pytest

from extproc.config.load import Loaded
from tests.config.settings import Load

BASE = """
providers:
  p: {{dialect: openai, base_url: "https://h", {provider}}}
models:
- {{name: m, targets: [p]}}
fleet: {fleet}
"""
TLS = "tls: {certificate: plane.crt, key: plane.key, client_ca: ca.crt}"


def read(load_text: Load, fleet: str, *, provider: str = 'key: "env:KEY"', **more: str) -> Loaded:
    text = BASE.format(fleet=fleet, provider=provider) + "".join(f"{key}: {value}\n" for key, value in more.items())
    return load_text(text, {"KEY": "sk-1"})


def errors(loaded: Loaded) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in loaded.problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("fleet", "host"),
    [
        ("{}", "127.0.0.1"),
        (f"{{address: 10.0.0.7, {TLS}}}", "10.0.0.7"),
        (f"{{address: 0.0.0.0, host: plane.example, {TLS}}}", "plane.example"),
        ("{canary: {share: 0.1}, metrics: '127.0.0.1:9182', protocol: sotw}", "127.0.0.1"),
        ("{canary: {nodes: ['a-*'], metadata: {track: canary}}, metrics: '[::1]:9182'}", "127.0.0.1"),
    ],
)
def test_what_is_taken(load_text: Load, fleet: str, host: str) -> None:
    loaded = read(load_text, fleet)
    assert loaded.config is not None and loaded.config.fleet is not None
    assert loaded.config.fleet.reached_by == host


@pytest.mark.parametrize(
    ("fleet", "path", "message"),
    [
        ("{address: 10.0.0.7}", "$.fleet.tls", "others can reach 10.0.0.7"),
        ("{address: somewhere}", "$.fleet.address", "an IP address is needed here"),
        (f"{{address: 0.0.0.0, {TLS}}}", "$.fleet.host", "nobody can ask for 0.0.0.0"),
        ("{host: 'a b'}", "$.fleet.host", "neither a name of a host nor an address"),
        ("{canary: {}}", "$.fleet.canary", "this chooses nobody"),
        ("{metrics: '9182'}", "$.fleet.metrics", "no address with a port"),
        ("{metrics: '127.0.0.1:99999'}", "$.fleet.metrics", "no address with a port"),
        ("{tls: {certificate: '-----BEGIN', key: k, client_ca: c}}", "$.fleet.tls.certificate", "the path of a PEM file"),
        ("{tls: {certificate: c, key: k}}", "$.fleet.tls", "client_ca"),
        ("{run_dir: run}", "$.fleet.run_dir", ""),
    ],
)
def test_what_is_refused(load_text: Load, fleet: str, path: str, message: str) -> None:
    ((where, said),) = errors(read(load_text, fleet))
    assert where == path and message in said


@pytest.mark.parametrize(
    ("provider", "more", "what"),
    [
        ("envoy_key_file: key", {}, "`providers.p.envoy_key_file`"),
        ('key: "env:KEY"', {"egress": "{proxy: 'http://proxy:3128'}"}, "`egress`"),
    ],
)
def test_no_secret_is_told_in_clear(load_text: Load, tmp_path: Path, provider: str, more: dict[str, str], what: str) -> None:
    (tmp_path / "key").write_text("sk-1")
    ((path, message),) = errors(read(load_text, "{}", provider=provider, **more))
    assert path == "$.fleet.tls" and what in message
    assert not errors(read(load_text, f"{{{TLS}}}", provider=provider, **more))


def test_paths_begin_at_the_file(load_text: Load, tmp_path: Path) -> None:
    config = read(load_text, f"{{{TLS}}}").config
    assert config is not None and config.fleet is not None and config.fleet.tls is not None
    assert config.fleet.tls.key == str(tmp_path / "plane.key")


@pytest.mark.parametrize(("value", "refused"), [("env:KEY", True), ("plain", False)])
def test_what_envoy_alone_is_told_is_a_secret_where_it_is_referred_to(load_text: Load, value: str, *, refused: bool) -> None:
    part = f"{{bootstrap: {{stats_config: {{stats_tags: [{{tag_name: a, fixed_value: '{value}'}}]}}}}}}"
    assert bool(errors(read(load_text, "{}", envoy=part))) is refused
    assert not errors(read(load_text, f"{{{TLS}}}", envoy=part))
