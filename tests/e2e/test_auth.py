"""Who may call. With keys: whoever has one, wherever a client puts it, from the moment it is made to the moment it is revoked.

Without keys: this machine only, and no web page that somebody here happens to look at. The key itself is nowhere but with its owner.
"""

import base64
import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

# What is promised is a second; a busy machine is given more.
SOON = 10.0
CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
FILE_KEY = "a-key-of-the-file"
PLACES = [
    {"authorization": "Bearer {}"},
    {"authorization": "bearer {}"},
    {"Authorization": "BEARER  {}"},
    {"authorization": "{}"},
    {"x-api-key": "{}"},
    {"X-Api-Key": "{}"},
    {"x-api-key": "Bearer {}"},
    {"api-key": "{}"},
    {"x-goog-api-key": "{}"},
    {"x-openai-key": "{}"},
    {"x-anthropic-key": "{}"},
    {"x-litellm-api-key": "{}"},
    {"authorization": "Bearer of-somebody-else", "x-api-key": "{}"},
]


def hashed(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def filters(**auth: Any) -> list[dict[str, Any]]:
    """The usual filters, with settings for the authentication."""
    return [{"meter": {}}, {"auth": auth}, {"route": {}}, {"headers": {}}, {"cache": {}}]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    """A gateway with a key in its configuration."""
    auth = filters(keys=[{"name": "of-the-file", "hash": hashed(FILE_KEY), "tenant": "the-tenant"}])
    with Gateway(tmp_path_factory.mktemp("gateway"), {**config, "filters": auth}) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, config: dict[str, Any]) -> Iterator[Gateway]:
    """A gateway of the test's own, without keys."""
    with Gateway(tmp_path, config) as running:
        yield running


def ask(gateway: Gateway, key: str | None = None, **headers: str) -> httpx.Response:
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello"), headers=headers)


def create(gateway: Gateway, name: str, *more: str) -> str:
    """A new key, from the command line."""
    made = gateway.run("keys", "create", name, *more, "gateway.yaml")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


# Keys.


@pytest.mark.parametrize("headers", PLACES, ids=str)
def test_every_place_for_a_key(keyed: Gateway, openai_provider: Demo, headers: dict[str, str]) -> None:
    sent = {name: value.format(FILE_KEY) for name, value in headers.items()}
    assert ask(keyed, **sent).status_code == 200
    (seen,) = openai_provider.requests()
    assert FILE_KEY not in str(seen)
    assert ["authorization", "Bearer sk-provider-o"] in seen["headers"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"x-key": FILE_KEY}, "missing_api_key"),
        ({"authorization": f"Bearer {FILE_KEY}x"}, "invalid_api_key"),
        ({"authorization": f"Bearer {FILE_KEY[:-1]}"}, "invalid_api_key"),
        ({"authorization": "Bearer"}, "invalid_api_key"),
        ({"authorization": f"Basic {base64.b64encode(FILE_KEY.encode()).decode()}"}, "invalid_api_key"),
        ({"x-api-key": hashed(FILE_KEY)}, "invalid_api_key"),
        ({"x-api-key": "sk-provider-o"}, "invalid_api_key"),
        ({"x-api-key": ""}, "invalid_api_key"),
        ({"x-api-key": f"{FILE_KEY}, {FILE_KEY}"}, "invalid_api_key"),
    ],
)
def test_no_key_and_wrong_keys(keyed: Gateway, openai_provider: Demo, headers: dict[str, str], code: str) -> None:
    answer = ask(keyed, **headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert error["request_id"] == answer.headers["x-request-id"]
    anthropic = CLIENT.post(f"{keyed.url}/v1/messages", json=message("Hello"), headers=headers)
    assert anthropic.status_code == 401
    assert anthropic.json()["type"] == "error"
    assert anthropic.json()["error"]["type"] == "authentication_error"
    assert anthropic.json()["request_id"] == anthropic.headers["x-request-id"]
    assert openai_provider.requests() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("GET", "/"), ("GET", "/v1/files"), ("POST", "/v1/audio/transcriptions"), ("PUT", "/x"), ("GET", "/metrics")],
)
def test_nothing_is_told_without_a_key(keyed: Gateway, openai_provider: Demo, method: str, path: str) -> None:
    assert CLIENT.request(method, keyed.url + path).status_code == 401
    assert openai_provider.requests() == []


def test_a_key_is_asked_for_before_anything_else(keyed: Gateway) -> None:
    """Whoever has no key learns nothing of models, sizes or the like, and costs no memory."""
    for body in (b"{", b'{"model": "nobody"}', b" " * 5_000_000):
        answer = CLIENT.post(f"{keyed.url}/v1/chat/completions", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 401


def test_nobody_says_for_himself_whose_certificate_he_has(keyed: Gateway, openai_provider: Demo) -> None:
    """Where no mesh is trusted, Envoy takes the header off."""
    spoofed = {"x-forwarded-client-cert": "URI=spiffe://mesh.test/ns/acme/sa/bot"}
    assert ask(keyed, **spoofed).status_code == 401
    assert ask(keyed, FILE_KEY, **spoofed).status_code == 200
    assert "spiffe" not in str(openai_provider.requests())


@pytest.mark.parametrize("host", ["evil.com", "gateway.example:8080"])
def test_with_keys_any_host_will_do(keyed: Gateway, host: str) -> None:
    assert ask(keyed, FILE_KEY, host=host, origin="https://app.example").status_code == 200


def test_keys_take_effect_while_the_gateway_runs(own: Gateway) -> None:
    assert ask(own).status_code == 200
    alice = create(own, "alice", "--tenant", "research")
    own.until(lambda: ask(own).status_code == 401, "a key is asked for", SOON)
    assert ask(own, alice).status_code == 200
    bob = create(own, "bob")
    own.until(lambda: ask(own, bob).status_code == 200, "bob's key is good", SOON)

    listed = own.run("keys", "list", "gateway.yaml").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["NAME", "alice", "bob"]
    assert "research" in listed
    assert alice not in listed

    assert own.run("keys", "revoke", "alice", "gateway.yaml").returncode == 0
    own.until(lambda: ask(own, alice).status_code == 401, "alice's key is worthless", SOON)
    assert ask(own, bob).status_code == 200
    assert "revoked" in own.run("keys", "list", "gateway.yaml").stdout
    again = own.run("keys", "create", "alice", "gateway.yaml")
    assert (again.returncode, again.stdout) == (1, "")

    assert own.run("keys", "revoke", "bob", "gateway.yaml").returncode == 0
    own.until(lambda: ask(own, bob).status_code == 401, "bob's key is worthless", SOON)
    assert ask(own).status_code == 401, "revoking the last key must not open the gateway"
    assert own.run("keys", "revoke", "bob", "gateway.yaml").returncode == 1

    def recorded() -> set[tuple[str, str]]:
        return {(row["tenant"], row["key"]) for row in own.ledger("tenant,key")}

    own.until(lambda: recorded() >= {("research", "alice"), ("bob", "bob")}, "both are in the ledger")
    own.stop()
    for path in (path for path in [*own.state.rglob("*"), own.log] if path.is_file()):
        content = path.read_bytes()
        assert alice.encode() not in content, path
        assert bob.encode() not in content, path


def test_a_key_is_nowhere_but_with_its_owner(keyed: Gateway, config: dict[str, Any]) -> None:
    """Neither what a caller sent, nor what is sent to a provider, is in any file."""
    assert ask(keyed, FILE_KEY).status_code == 200
    assert ask(keyed, "an-unknown-key").status_code == 401
    assert CLIENT.get(f"{keyed.url}/v1/files?key={FILE_KEY}", headers={"x-api-key": FILE_KEY}).status_code == 404
    keyed.ledger(requests=2)
    access_log = keyed.state / "access.log"
    keyed.until(lambda: access_log.exists() and "/v1/files" in access_log.read_text(), "Envoy has written its log")
    for path in (path for path in [*keyed.state.rglob("*"), keyed.log] if path.is_file()):
        content = path.read_bytes()
        for secret in (FILE_KEY, "an-unknown-key", "sk-provider-o", "sk-provider-a"):
            assert secret.encode() not in content, (path, secret)


def test_a_hash_from_the_command_line(keyed: Gateway) -> None:
    done = keyed.run("keys", "hash", text=f"{FILE_KEY}\n")
    assert (done.returncode, done.stdout.strip()) == (0, hashed(FILE_KEY))
    assert keyed.run("keys", "hash", text="\n").returncode == 2


def test_the_ledger_knows_who_called(keyed: Gateway) -> None:
    id = ask(keyed, FILE_KEY).headers["x-request-id"]
    keyed.until(lambda: id in "".join(path.read_text() for path in (keyed.state / "journal").iterdir()), "the request is in the journal")
    rows = keyed.ledger("tenant,key", requests=1)
    assert ("the-tenant", "of-the-file") in {(row["tenant"], row["key"]) for row in rows}


def test_state_is_for_the_owner_alone(own: Gateway) -> None:
    create(own, "alice")
    assert own.state.stat().st_mode & 0o077 == 0
    assert (own.state / "store.sqlite").stat().st_mode & 0o077 == 0
    command = Path(f"/proc/{own.envoy()}/cmdline").read_text().split("\0")
    assert Path(command[command.index("--config-path") + 1]).parent.stat().st_mode & 0o077 == 0


# Without keys.


def status(gateway: Gateway, host: str | None, headers: dict[str, str] | None = None, target: str = "/v1/models") -> int:
    """The answer to a request with exactly this Host; None sends none."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.putrequest("GET", target, skip_host=True)
    for name, value in ({} if host is None else {"host": host} | (headers or {})).items():
        connection.putheader(name, value)
    connection.endheaders()
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "[::1]",
        "localhost:{}",
        "127.0.0.1:{}",
        "[::1]:{}",
        "127.1.2.3",
        "app.localhost",
        "localhost.",
    ],
)
def test_loopback_names_are_served(gateway: Gateway, host: str) -> None:
    assert status(gateway, host.format(gateway.port)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:{}",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil-localhost",
        "0.0.0.0",
        "10.0.0.1",
        "[::2]",
        "[::]",
        "127.0.0.1@evil.com",
        "evil.com@127.0.0.1",
        "localhost:80@evil.com",
        "localhost/evil.com",
        "evil.com/localhost",
        "evil.com?localhost",
        "evil.com#localhost",
        "localhost#evil.com",
        "evil.com,localhost",
        "localhost evil.com",
        "2130706433",
        "0x7f.1",
        "::1",
        "",
    ],
)
def test_other_names_are_not(gateway: Gateway, openai_provider: Demo, host: str) -> None:
    assert status(gateway, host.format(gateway.port)) in (400, 403)
    assert openai_provider.requests() == []


def test_no_host_at_all_is_not_http(gateway: Gateway) -> None:
    assert status(gateway, None) == 400


def test_an_absolute_target_counts_as_the_host(gateway: Gateway) -> None:
    assert status(gateway, "localhost", target="http://evil.com/v1/models") == 403
    assert status(gateway, "evil.com", target="http://localhost/v1/models") == 200


def test_two_hosts_are_no_way_in(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as raw:
        raw.sendall(b"GET /v1/models HTTP/1.1\r\nHost: evil.com\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: raw.recv(4096), b""))
    assert received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


@pytest.mark.parametrize(
    "origin", ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]", "http://app.localhost"]
)
def test_pages_of_this_machine_may_call(gateway: Gateway, origin: str) -> None:
    assert status(gateway, "localhost", {"origin": origin}) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.com",
        "null",
        "",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://localhost@evil.com",
        "http://evil.com/localhost",
        "http://evil.com#localhost",
        "localhost",
        "file://",
        "chrome-extension://localhosts",
        "http://localhost, http://evil.com",
    ],
)
def test_foreign_pages_may_not(gateway: Gateway, openai_provider: Demo, origin: str) -> None:
    assert status(gateway, "localhost", {"origin": origin}) == 403
    assert openai_provider.requests() == []


def test_the_refusal_says_what_to_do(gateway: Gateway) -> None:
    answer = CLIENT.get(f"{gateway.url}/v1/models", headers={"host": "evil.com"})
    assert answer.json()["error"]["code"] == "foreign_host"
    assert "keys" in answer.json()["error"]["message"]


def test_an_unknown_key_is_no_harm_without_keys(gateway: Gateway, openai_provider: Demo) -> None:
    assert ask(gateway, "whatever-an-sdk-insists-on").status_code == 200
    assert "whatever-an-sdk" not in json.dumps(openai_provider.requests())


# Where others can reach it.


def test_it_does_not_start_open_to_all(tmp_path: Path, config: dict[str, Any]) -> None:
    gateway = Gateway(tmp_path, {**config, "listener": {"address": "0.0.0.0"}})
    done = gateway.run("up", "gateway.yaml")
    assert done.returncode == 2
    assert "$.listener" in done.stderr
    assert "open: true" in done.stderr
    assert "keys" in done.stderr


def test_it_does_when_told_to(tmp_path: Path, config: dict[str, Any]) -> None:
    with Gateway(tmp_path, {**config, "listener": {"address": "0.0.0.0", "open": True}}) as running:
        assert "anybody may call" in running.log.read_text()
        assert status(running, "evil.com", {"origin": "https://evil.com"}) == 200
        create(running, "alice")
        running.until(lambda: status(running, "evil.com") == 401, "a key is asked for", SOON)


def test_it_does_with_a_key(tmp_path: Path, config: dict[str, Any]) -> None:
    gateway = Gateway(tmp_path, {**config, "listener": {"address": "0.0.0.0"}})
    key = create_before(gateway)
    with gateway as running:
        assert status(running, "evil.com") == 401
        assert ask(running, key, host="evil.com").status_code == 200


def create_before(gateway: Gateway) -> str:
    """A key for a gateway that cannot start without one."""
    made = gateway.run("keys", "create", "first", "gateway.yaml")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()
