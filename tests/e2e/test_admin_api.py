"""The admin API as a child of a gateway: on its own port, behind Envoy's listener, from the command line, killed, reloaded, upgraded."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.callers import signer
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port

_CONFIG: dict[str, Any] = {
    "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
    "models": [{"name": "demo", "targets": ["demo"]}],
}


class Administered(Gateway):
    """One whose admin API is on, and at the callers' listener as well."""

    def __init__(self, folder: Path) -> None:
        self.api_port = free_port()
        super().__init__(folder, _CONFIG)

    def write(self, config: Any) -> None:
        """See `Gateway`."""
        super().write({**config, "api": {"address": f"127.0.0.1:{self.api_port}", "listener": True}})

    def api(self) -> int:
        """Process id of the API."""
        (pid,) = self.children(r"extproc\.admin")
        return pid

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, listener: bool = False) -> httpx.Response:
        """Asks it, as the operator unless with another key."""
        base = self.url if listener else f"http://127.0.0.1:{self.api_port}"
        bearer = (self.state / "admin.key").read_text().strip() if key is None else key
        return httpx.request(
            method, f"{base}/api/v1{path}", json=body, headers={"authorization": f"Bearer {bearer}"}, verify=False, timeout=60
        )  # fmt: skip

    def admin(self, *arguments: str) -> Any:
        """`headgate admin`, and what it says."""
        done = self.run("admin", *arguments, "--config", str(self.path), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    with Administered(tmp_path_factory.mktemp("administered")) as running:
        yield running


def test_from_the_command_line_to_a_request_that_is_served(gateway: Administered) -> None:
    log = gateway.log.read_text()
    assert f"admin API  http://127.0.0.1:{gateway.api_port}/api/v1" in log and str(gateway.state / "admin.key") in log
    acme = gateway.admin("organizations", "create", "--name", "acme", "--budget", "50/month")
    assert acme["settings"]["limits"] == [{"unit": "cost", "amount": "50", "window": "month"}]
    red = gateway.admin("teams", "create", "--organization", "acme", "--name", "red", "--set", 'settings.tags={"stage": "test"}')
    assert red["settings"] == {"tags": {"stage": "test"}}
    table = gateway.run("admin", "teams", "list", "--organization", acme["id"], "--config", str(gateway.path)).stdout.splitlines()
    assert [line.split()[:2] for line in table] == [["ID", "NAME"], [red["id"], "red"]]
    key = gateway.admin("keys", "create", "--team", "red", "--organization", "acme", "--name", "app")
    assert [one["id"] for one in gateway.admin("keys", "find", key["key"])] == [key["id"]]
    fresh = gateway.admin("keys", "rotate", "app", "--organization", "acme", "--overlap", "1h")
    for path in ("/v1/chat/completions", "/api/v1/chat/completions", "/api/v1/chat/completions/ml"):
        for secret in (key["key"], fresh["key"]):
            gateway.until(lambda path=path, secret=secret: _chat(gateway, path, secret) == 200, "the key is known", 5)  # type: ignore[misc]
    assert gateway.admin("keys", "disable", key["id"])["disabled_at"]
    gateway.until(lambda: _chat(gateway, "/v1/chat/completions", fresh["key"]) == 401, "the key is refused")
    assert gateway.run("admin", "keys", "delete", key["id"], "--config", str(gateway.path)).returncode == 0
    refused = gateway.run("admin", "teams", "show", "blue", "--organization", "acme", "--config", str(gateway.path))
    assert (refused.returncode, refused.stderr) == (1, "headgate admin: there is no team 'blue'\n")
    assert [one["action"] for one in gateway.admin("audit", "--limit", "3")] == ["delete", "change", "rotate"]


def _chat(gateway: Gateway, path: str, key: str) -> int:
    return httpx.post(f"{gateway.url}{path}", json=chat("Hello"), headers={"x-api-key": key}, verify=False, timeout=60).status_code


def test_at_the_callers_listener(gateway: Administered) -> None:
    """Who has a role acts there as at the API's own port; the data path's own paths stay the data path's."""
    other = gateway.ask("POST", "/organizations", {"name": "other"}).json()
    user = gateway.ask("POST", "/users", {"name": "olga"}).json()
    gateway.ask("POST", f"/organizations/{other['id']}/members", {"user_id": user["id"], "role": "admin"})
    made = gateway.ask("POST", f"/organizations/{other['id']}/keys", {"name": "olga's", "user_id": user["id"]}).json()
    key = made["key"]
    gateway.until(lambda: _chat(gateway, "/v1/chat/completions", key) == 200, "the key is known")
    before = gateway.metrics()
    me = gateway.ask("GET", "/me", key=key, listener=True)
    assert me.json()["organizations"] == {other["id"]: "admin"}
    assert gateway.ask("GET", "/me", key="hg-wrong", listener=True).json()["error"]["code"] == "invalid_api_key"
    assert gateway.ask("POST", f"/organizations/{other['id']}/teams", {"name": "t"}, key=key, listener=True).status_code == 201
    entry = gateway.ask("GET", f"/organizations/{other['id']}/audit?limit=1").json()["data"][0]
    assert entry["actor"] == user["id"]
    # By the address that Envoy sees, whatever the caller says.
    narrow = {"settings": {"networks": ["10.0.0.0/8"]}}
    assert gateway.ask("PATCH", f"/keys/{made['id']}", narrow).status_code == 200
    told = {"authorization": f"Bearer {key}", "x-headgate-caller-address": "10.0.0.1", "x-forwarded-for": "10.0.0.1"}
    refused = httpx.get(f"{gateway.url}/api/v1/me", headers=told, verify=False)
    assert refused.json()["error"]["code"] == "address_not_allowed"
    models = httpx.get(f"{gateway.url}/api/v1/models", headers={"x-api-key": key}, verify=False).json()
    assert "data" in models or "error" in models
    served = "ai_proxy_requests_total"
    after = gateway.metrics()
    assert sum(value for name, value in after.items() if name.startswith(served)) - sum(
        value for name, value in before.items() if name.startswith(served)
    ) <= 2  # fmt: skip


def test_one_that_is_killed_is_started_again(gateway: Administered) -> None:
    before = gateway.api()
    os.kill(before, signal.SIGKILL)
    # The socket is the control process's: whoever asks meanwhile waits, and is answered.
    assert gateway.ask("GET", "/me").json()["operator"]
    assert gateway.api() != before
    gateway.until(lambda: gateway.metrics()['ai_proxy_restarts_total{process="admin-api"}'] == 1, "it is counted")


def test_a_reload_tells_it_of_issuers_and_an_upgrade_keeps_it(gateway: Administered) -> None:
    before = gateway.api()
    issuer = {
        "issuer": signer.ISSUER, "audiences": [signer.AUDIENCE], "jwks": signer.jwks(signer.public("p256", "k")),
        "claims": {"tenant": "org", "roles": "roles"},
    }  # fmt: skip
    token = signer.token(signer.claims(org="nobody", roles=["owner"]))
    assert gateway.ask("GET", "/me", key=token).status_code == 401
    gateway.write({**_CONFIG, "callers": {"jwt": [issuer]}})
    gateway.until(lambda: gateway.ask("GET", "/me", key=token).status_code == 200, "its tokens are taken")
    gateway.until(lambda: before not in gateway.children(r"extproc\.admin"), "the one before has left")
    before = gateway.api()
    done = gateway.run("upgrade", str(gateway.path))
    assert done.returncode == 0, done.stderr + gateway.log.read_text()[-2000:]
    assert gateway.ask("GET", "/me", key=token).status_code == 200
    gateway.until(lambda: before not in gateway.children(r"extproc\.admin"), "another one has taken its place")
    assert gateway.ask("GET", "/me").json()["operator"]
