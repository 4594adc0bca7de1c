"""Callers that are known by a token, a mesh's certificate or a provider's key of their own: a real Envoy, and a real issuer."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import pytest
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extproc.envoy.binary import find_envoy
from tests.callers.signer import claims, public, token
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.ports import free_port
from tests.e2e.test_auth import FILE_KEY, filters, hashed
from tests.e2e.upstream import Demo, Scripted

CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
NOWHERE = f"http://127.0.0.1:{free_port()}/jwks"
SECRET = "a-secret-of-the-operator"
AUTH = filters(keys=[{"name": "of-the-file", "hash": hashed(FILE_KEY), "tenant": "the-tenant"}])


class Issuer:
    """Has keys at `/jwks`, and may be down."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public("p256", "first")]
        self.asked = 0
        self.down = False
        self._server = Scripted(self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.down or request.path != "/jwks":
            return web.Response(status=503)
        return web.Response(body=msgspec.json.encode({"keys": self.keys}), headers={"cache-control": "max-age=1"})

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.url = self._server.url
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], issuer: Issuer) -> Iterator[Gateway]:
    """A gateway that knows callers in all ways at once."""
    own = {"claims": {"tenant": "org", "roles": "groups"}, "tenant": "by-token", "refresh": {"least": 1, "most": 2, "again": 1}}
    here = {"issuer": issuer.url, "audiences": ["gateway"], "jwks_url": f"{issuer.url}/jwks", **own}
    # An issuer whose tokens Envoy checks.
    there = {"issuer": "https://envoys.test", "audiences": ["gateway"], "jwks_url": f"{issuer.url}/jwks", "verify": "envoy"}
    never = {"issuer": "https://never.test", "audiences": ["gateway"], "jwks_url": NOWHERE}
    callers = {
        "jwt": [here, {**there, "claims": {"tenant": "org"}}, never],
        "own_keys": [{"providers": ["o"], "pattern": "sk-mine-*"}],
        "hash_key": "env:OWN_SECRET",
        "mesh": {"trusted": True, "workloads": [{"uri": "spiffe://mesh.test/ns/{tenant}/sa/{key}"}]},
    }
    whole = {**config, "filters": AUTH, "callers": callers}
    with Gateway(tmp_path_factory.mktemp("gateway"), whole, {"OWN_SECRET": SECRET}) as running:
        yield running


def ask(gateway: Gateway, text: str | None = None, model: str = "demo", **headers: str) -> httpx.Response:
    if text is not None:
        headers["authorization"] = f"Bearer {text}"
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model=model), headers=headers)


def signed(issuer: Issuer, kid: str = "first", which: int = 0, **more: Any) -> str:
    return token(claims(iss=issuer.url, **more), kid=kid, which=which)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"].get("code") if answer.status_code != 200 else ""


def who(gateway: Gateway, requests: int) -> set[tuple[str, str]]:
    return {(row["tenant"], row["key"]) for row in gateway.ledger("tenant,key", requests=requests)}


def test_a_token_lets_in(known: Gateway, issuer: Issuer, openai_provider: Demo) -> None:
    good = signed(issuer, sub="alice", org="acme")
    for headers in ({"authorization": f"Bearer {good}"}, {"x-api-key": good}):
        assert ask(known, **headers).status_code == 200
    seen = openai_provider.requests()
    assert good not in str(seen)
    assert ["authorization", "Bearer sk-provider-o"] in seen[0]["headers"]
    # A virtual key goes on counting, also beside a token that is not good.
    assert ask(known, FILE_KEY).status_code == 200
    assert ask(known, signed(issuer, exp=1), **{"x-api-key": FILE_KEY}).status_code == 200


def test_refusals_say_what_is_wrong_in_the_clients_dialect(known: Gateway, issuer: Issuer, openai_provider: Demo) -> None:
    expired, stranger = signed(issuer, exp=time.time() - 100), signed(issuer, which=1)
    assert code(ask(known, expired)) == (401, "expired_token")
    assert code(ask(known, stranger)) == (401, "invalid_token")
    assert code(ask(known, signed(issuer, aud="other"))) == (401, "invalid_token")
    assert code(ask(known)) == (401, "missing_api_key")
    answer = CLIENT.post(f"{known.url}/v1/messages", json=message("Hello"), headers={"x-api-key": expired})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert "expired" in answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert openai_provider.requests() == []


def test_keys_are_rotated(known: Gateway, issuer: Issuer) -> None:
    issuer.keys = [public("p256", "first"), public("p256", "second", which=2)]
    # By asking, or because they have become old: at once, or a second later.
    known.until(lambda: ask(known, signed(issuer, "second", 2)).status_code == 200, "the new key counts")
    assert ask(known, signed(issuer)).status_code == 200
    issuer.keys = [public("p256", "second", which=2)]
    old = signed(issuer)
    known.until(lambda: ask(known, old).status_code == 401, "the old key counts no more, nor what was remembered by it")
    issuer.keys = [public("p256", "first")]
    known.until(lambda: ask(known, old).status_code == 200, "it counts again")


def test_an_unknown_key_is_asked_for_now_and_then(known: Gateway, issuer: Issuer) -> None:
    before, began = issuer.asked, time.monotonic()
    for at in range(30):
        assert code(ask(known, signed(issuer, f"made-up-{at}"))) == (401, "invalid_token")
    # Each second once for that, and once because they are old; by the gateway, and by Envoy for its own.
    assert issuer.asked - before <= 4 + 4 * (time.monotonic() - began)


def test_an_issuer_that_is_down_changes_nothing(known: Gateway, issuer: Issuer) -> None:
    issuer.down = True
    try:
        known.until(lambda: known.metrics().get(f'ai_proxy_issuer_keys_failures_total{{issuer="{issuer.url}"}}', 0) >= 1, "it is told")
        assert ask(known, signed(issuer, sub="bob")).status_code == 200
        assert code(ask(known, signed(issuer, "second", 2))) == (401, "invalid_token")
    finally:
        issuer.down = False
    assert known.metrics()[f'ai_proxy_issuer_keys{{issuer="{issuer.url}"}}'] == 1


def test_tokens_are_nowhere(known: Gateway, issuer: Issuer) -> None:
    texts = [signed(issuer, sub="carol"), signed(issuer, sub="dave", exp=5), "sk-mine-nowhere-to-be-found"]
    for text in texts:
        ask(known, text)
    known.ledger(requests=1)
    time.sleep(0.5)  # Envoy writes its log four times a second
    for path in (path for path in [*known.state.rglob("*"), known.log] if path.is_file()):
        content = path.read_bytes()
        assert not any(text.rpartition(".")[2].encode() in content for text in texts), path


# Checked by Envoy.


def test_tokens_that_envoy_checks(known: Gateway, issuer: Issuer) -> None:
    good = {"iss": "https://envoys.test", "sub": "erin", "org": "umbrella"}
    known.until(lambda: ask(known, token(claims(**good), kid="first")).status_code == 200, "Envoy has the keys")
    for bad in (token(claims(**good), kid="first", which=1), token(claims(**good, exp=5), kid="first")):
        assert ask(known, bad).status_code == 401
    # What Envoy says of one is for that issuer alone, and it says it by nothing that a caller could send.
    forged = {"x-jwt-payload": "eyJzdWIiOiJldmUifQ"}
    assert ask(known, **forged).status_code == 401


# Keys of their own.


def test_a_callers_own_key_goes_to_its_provider_alone(known: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    mine = "sk-mine-0123456789"
    assert ask(known, mine).status_code == 200
    (seen,) = openai_provider.requests()
    assert ["authorization", f"Bearer {mine}"] in seen["headers"]
    assert "sk-provider-o" not in str(seen)
    openai_provider.reset()
    # In whichever dialect; of several targets only its own, whichever comes first.
    answer = CLIENT.post(f"{known.url}/v1/messages", json=message("Hello", model="a-then-o"), headers={"x-api-key": mine})
    assert answer.status_code == 200
    assert mine in str(openai_provider.requests())
    assert code(ask(known, mine, "claude-x")) == (403, "own_key_not_allowed")
    assert anthropic_provider.requests() == []
    # Not for what the gateway answers itself, and nothing that is only like it.
    assert CLIENT.get(f"{known.url}/v1/models", headers={"x-api-key": mine}).status_code == 401
    for other in (b"sk-min-1", b"hg-sk-mine-1", "sk-mine-\u00e9".encode()):
        assert CLIENT.post(f"{known.url}/v1/chat/completions", json=chat("x"), headers={b"x-api-key": other}).status_code == 401


def test_a_callers_own_key_is_not_sent_on_to_others(known: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    """Its provider fails, and there would be another target."""
    failing = chat("Hello [[status=500]]", model="o-then-a")
    answer = CLIENT.post(f"{known.url}/v1/chat/completions", json=failing, headers={"x-api-key": "sk-mine-failing"})
    assert len(openai_provider.requests()) == 1
    assert anthropic_provider.requests() == []
    assert answer.status_code in (200, 500, 502)


def test_nobody_gets_what_another_ones_key_has_bought(known: Gateway, openai_provider: Demo) -> None:
    body = {**chat("The same for all"), "temperature": 0}
    for key in ("sk-mine-a", "sk-mine-b", FILE_KEY, "sk-mine-a"):
        assert CLIENT.post(f"{known.url}/v1/chat/completions", json=body, headers={"x-api-key": key}).status_code == 200
    assert len(openai_provider.requests()) == 3, "the last one had it in the cache"
    both = {"authorization": f"Bearer {FILE_KEY}", "x-api-key": "sk-mine-a"}
    assert CLIENT.post(f"{known.url}/v1/chat/completions", json=body, headers=both).status_code == 200
    requests = openai_provider.requests()
    assert len(requests) == 4
    assert ["authorization", "Bearer sk-mine-a"] in requests[-1]["headers"]


# A mesh.


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mesh")])
        self._write("ca", self._signed(self._key, self._name, []), self._key)

    def make(self, name: str, *names: x509.GeneralName) -> tuple[str, str]:
        """Paths of a certificate with these names in it, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        # A subject that somebody has chosen with care.
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'x",URI=spiffe://mesh.test/ns/root/sa/root;DNS="')])
        return self._write(name, self._signed(key, subject, names), key)

    def _signed(self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, names: Any) -> x509.Certificate:
        now, day = datetime.now(UTC), timedelta(days=1)
        made = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number(), now - day, now + day)
        made = made.add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else made
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[str, str]:
        paths = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(paths[0]), str(paths[1])


def proxy(folder: Path, port: int, behind: int, certificate: tuple[str, str]) -> dict[str, Any]:
    """An Envoy as a mesh has it: it asks clients for certificates, and says in the header whose they are, and nothing else."""
    types = "type.googleapis.com/envoy.extensions"
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "gateway"}}]
    chain = {"certificate_chain": {"filename": certificate[0]}, "private_key": {"filename": certificate[1]}}
    tls = {"tls_certificates": [chain], "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}}}
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mesh",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"}}],
    }  # fmt: skip
    context = {
        "@type": f"{types}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": tls,
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": behind}}}}
    cluster = {"name": "gateway", "load_assignment": {"cluster_name": "gateway", "endpoints": [{"lb_endpoints": [endpoint]}]}}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def with_certificate(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*certificate)
    return context


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_an_issuer_that_was_never_there(known: Gateway) -> None:
    refused = ask(known, token(claims(iss="https://never.test")))
    assert (code(refused), refused.headers["retry-after"]) == ((503, "keys_unavailable"), "5")


def test_callers_of_a_mesh(known: Gateway, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    client = authority.make("client", x509.UniformResourceIdentifier("spiffe://mesh.test/ns/meshed/sa/bot"), x509.DNSName("bot.test"))
    other = authority.make("other", x509.UniformResourceIdentifier("spiffe://elsewhere.test/ns/meshed/sa/bot"))
    server = authority.make("server", x509.DNSName("localhost"))
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(proxy(tmp_path, port, known.port, server)))
    command = [find_envoy(), "-c", str(tmp_path / "mesh.yaml"), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
    envoy = subprocess.Popen(command, cwd=tmp_path)
    try:
        known.until(lambda: answers(port), "the proxy listens")
        url, spoofed = (
            f"https://127.0.0.1:{port}/v1/chat/completions",
            {"x-forwarded-client-cert": "URI=spiffe://mesh.test/ns/root/sa/root"},
        )
        with httpx.Client(verify=with_certificate(client)) as certified:
            for headers in ({}, spoofed):
                answer = certified.post(url, json=chat("Hello"), headers=headers)
                assert answer.status_code == 200, answer.text
        with httpx.Client(verify=with_certificate(other)) as strange:
            assert strange.post(url, json=chat("Hello"), headers=spoofed).status_code == 401
    finally:
        envoy.terminate()
        envoy.wait(10)
    assert code(ask(known)) == (401, "missing_api_key")
    assert code(ask(known, **{"x-forwarded-client-cert": 'URI="'})) == (401, "invalid_client_certificate")


def test_the_ledger_knows_who_called(known: Gateway, issuer: Issuer) -> None:
    for text in (signed(issuer, sub="frank", org="acme"), FILE_KEY, "sk-mine-c", "sk-mine-d"):
        assert ask(known, text).status_code == 200
    assert ask(known, token(claims(iss="https://envoys.test", sub="erin", org="umbrella"), kid="first")).status_code == 200
    assert ask(known, FILE_KEY, **{"x-api-key": "sk-mine-c"}).status_code == 200

    expected = {("acme", "frank"), ("the-tenant", "of-the-file"), ("umbrella", "erin"), ("meshed", "bot")}

    def told() -> bool:
        rows = who(known, 1)
        assert ("root", "root") not in rows
        alone, beside = ({key for tenant, key in rows if key.startswith(f"{begins}own:")} for begins in ("", "of-the-file/"))
        return len(alone) >= 2 and len(beside) >= 1 and rows >= expected

    known.until(told, "all are in the ledger")
