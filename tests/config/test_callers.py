"""The section `callers`."""

from pathlib import Path

import pytest

from tests.callers.signer import jwks, public
from tests.config.settings import Load, told

BASE = """
providers:
  it: {dialect: openai, base_url: "https://it.test/v1"}
  several: {dialect: openai, base_url: "https://it.test/v1", keys: ["env:A", "env:B"]}
  none: {dialect: openai, base_url: "https://it.test/v1", auth: none}
models:
  - {name: x, targets: [it]}
callers: CALLERS
"""
ENVIRON = {"A": "sk-a", "B": "sk-b", "SECRET": "a-secret-of-the-operator"}
SECRET = "hash_key: 'env:SECRET'"
ONE = "issuer: 'https://i.test', audiences: [gw]"


def document(callers: str) -> str:
    return BASE.replace("CALLERS", callers).replace("ONE", ONE).replace("SECRET", SECRET, 1)


@pytest.mark.parametrize(
    "callers",
    [
        "{}",
        "{jwt: [{ONE, jwks_url: 'https://i.test/keys?v=1'}]}",
        "{jwt: [{ONE, jwks_url: 'http://[::1]:9/k', claims: {key: [a, b], tenant: t}, roles: {admin: [x]}, require: {g: [a], h: b}}]}",
        "{jwt: [{ONE, verify: front, metadata: payload}]}",
        "{mesh: {trusted: true, workloads: [{uri: 'spiffe://a/{tenant}/{key}'}, {dns: '{key}.a', tenant: t}]}}",
        "{SECRET, own_keys: [{providers: [it], pattern: 'sk-*'}]}",
    ],
)
def test_right_sections(load_text: Load, callers: str) -> None:
    loaded = load_text(document(callers), ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None


def test_keys_in_a_file(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(jwks(public("p256", "k")))
    (tmp_path / "keys.json").chmod(0o600)
    loaded = load_text(document("{jwt: [{ONE, jwks: 'file:keys.json'}]}"), ENVIRON)
    assert loaded.problems == []
    assert tmp_path / "keys.json" in loaded.files


@pytest.mark.parametrize(
    ("callers", "path", "part"),
    [
        ("{jwt: [{ONE}]}", "$.callers.jwt[0]", "give one of them"),
        ("{jwt: [{ONE, jwks: x, jwks_url: 'https://i.test'}]}", "$.callers.jwt[0]", "give one of them"),
        ("{jwt: [{ONE, jwks: x}]}", "$.callers.jwt[0].jwks", "no JSON"),
        ("{jwt: [{ONE, jwks_url: 'http://i.test/k'}]}", "$.callers.jwt[0].jwks_url", "without TLS"),
        ("{jwt: [{ONE, jwks_url: 'ftp://i.test/k'}]}", "$.callers.jwt[0].jwks_url", "https://"),
        ("{jwt: [{ONE, jwks_url: 'https://u:p@i.test/k'}]}", "$.callers.jwt[0].jwks_url", "password"),
        ("{jwt: [{ONE, verify: front, jwks_url: 'https://i.test/k'}]}", "$.callers.jwt[0]", "no effect"),
        ("{jwt: [{ONE, verify: front}, {ONE, verify: front}]}", "$.callers.jwt[1].issuer", "twice"),
        ("{jwt: [{issuer: i, audiences: [], jwks: x}]}", "$.callers.jwt[0].audiences", "at least 1"),
        ("{jwt: [{ONE, jwks: x, algorithms: [HS256]}]}", "$.callers.jwt[0].algorithms[0]", "RS256"),
        ("{jwt: [{ONE, jwks_url: 'https://i.test/k', refresh: {least: 9, most: 1}}]}", "$.callers.jwt[0].refresh.least", "most"),
        ("{mesh: {workloads: [{uri: a}]}}", "$.callers.mesh", "no effect without"),
        ("{mesh: {trusted: true, workloads: [{key: a}]}}", "$.callers.mesh.workloads[0]", "`uri` or `dns`"),
        ("{mesh: {trusted: true, workloads: [{uri: '{who}'}]}}", "$.callers.mesh.workloads[0].uri", "braces"),
        ("{own_keys: [{providers: [it], pattern: 'sk-*'}]}", "$.callers.own_keys", "hash_key"),
        ("{SECRET, own_keys: [{providers: [its], pattern: 'sk-*'}]}", "$.callers.own_keys[0].providers[0]", 'did you mean "it"?'),
        ("{SECRET, own_keys: [{providers: [several], pattern: 'sk-*'}]}", "$.callers.own_keys[0].providers[0]", "several keys"),
        ("{SECRET, own_keys: [{providers: [none], pattern: 'sk-*'}]}", "$.callers.own_keys[0].providers[0]", "gets no key"),
        ("{SECRET, own_keys: [{providers: [it], pattern: 's-**'}]}", "$.callers.own_keys[0].pattern", "nearly anything"),
        ("{hash_key: 'a-secret-of-the-operator'}", "$.callers.hash_key", "plainly"),
    ],
)  # fmt: skip
def test_wrong_sections(load_text: Load, callers: str, path: str, part: str) -> None:
    loaded = load_text(document(callers), ENVIRON)
    found = [problem.message for problem in loaded.problems if problem.path == path]
    assert found and part in found[0], loaded.problems


def test_a_door_that_tokens_keep(load_text: Load) -> None:
    """Who may come in is known, so the gateway may be reached by others."""
    one = "{jwt: [{ONE, jwks_url: 'https://i.test/k'}]}"
    assert load_text(document(one) + "listener: {address: 0.0.0.0}\n", ENVIRON).problems == []
    trusting = "{mesh: {trusted: true, workloads: [{uri: 'spiffe://a/{key}'}]}}"
    (problem,) = told(load_text(document(trusting) + "listener: {address: 0.0.0.0}\n", ENVIRON), "warning")
    assert problem[0] == "$.callers.mesh.trusted"
