"""What is set for a key, its team and its organization is in force on a real Envoy, in the dialect of whoever asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from extproc.identity.settings import Settings
from extproc.store.keys import Holder
from extproc.store.store import Tables
from tests import stored
from tests.callers.signer import AUDIENCE, ISSUER, claims, jwks, public, token
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
BOUNDED = {
    "models": Settings(models=("gpt-*", "o-then-a")),
    "networks": Settings(networks=("203.0.113.0/24",)),
    # To Envoy a caller on this machine has the machine's own address, not a loopback one.
    "here": Settings(networks=("0.0.0.0/0", "::/0")),
    "endpoints": Settings(endpoints=("embeddings",)),
    "providers": Settings(providers=("a",)),
}


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway, and its keys by what bounds them."""
    one = Gateway(tmp_path_factory.mktemp("gateway"), config)

    def make(tables: Tables, holder: Holder) -> dict[str, str]:
        keys = {name: tables.keys.create(holder, name, settings=said)[1] for name, said in BOUNDED.items()}
        team = tables.teams.create(holder.organization_id, "research", settings=Settings(models=("claude-*", "demo")))
        of_team = Holder(holder.organization_id, team_id=team.id)
        return keys | {"team": tables.keys.create(of_team, "of-the-team", settings=Settings(models=("gpt-*", "demo")))[1]}

    keys = stored.change(one.state, make)
    with one:
        yield one, keys


def asked(bounded: tuple[Gateway, dict[str, str]], name: str, model: str = "demo", path: str = "/v1/chat/completions") -> tuple[int, str]:
    gateway, keys = bounded
    body = message("Hello", model) if path == "/v1/messages" else chat("Hello", model)
    answer = CLIENT.post(gateway.url + path, json=body, headers={"x-api-key": keys[name], "x-forwarded-for": "203.0.113.1"})
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"].get("code", answer.json()["error"]["type"])


def test_what_is_allowed_is_answered(bounded: tuple[Gateway, dict[str, str]], openai_provider: Demo, anthropic_provider: Demo) -> None:
    assert asked(bounded, "models", "gpt-5") == asked(bounded, "here") == asked(bounded, "team") == (200, "")
    assert len(openai_provider.requests()) == 3
    # Of two targets, the one that may be asked.
    assert asked(bounded, "providers", "o-then-a") == asked(bounded, "providers", "claude-9", "/v1/messages") == (200, "")
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (3, 2)


def test_what_is_not_is_refused_in_the_clients_dialect(bounded: tuple[Gateway, dict[str, str]], openai_provider: Demo) -> None:
    assert asked(bounded, "models") == (403, "model_not_allowed")
    assert asked(bounded, "models", path="/v1/messages") == (403, "permission_error")
    # Whatever the caller says of where he is.
    assert asked(bounded, "networks") == (403, "network_not_allowed")
    assert asked(bounded, "endpoints") == (403, "endpoint_not_allowed")
    assert asked(bounded, "providers") == (403, "provider_not_allowed")
    # The team has no gpt, and the key no claude.
    assert asked(bounded, "team", "gpt-5") == asked(bounded, "team", "claude-9") == (403, "model_not_allowed")
    assert openai_provider.requests() == []


def test_the_list_shows_what_may_be_asked_for(bounded: tuple[Gateway, dict[str, str]]) -> None:
    gateway, keys = bounded

    def listed(name: str) -> set[str]:
        return {one["id"] for one in CLIENT.get(f"{gateway.url}/v1/models", headers={"x-api-key": keys[name]}).json()["data"]}

    assert listed("models") == {"o-then-a"}
    assert listed("team") == {"demo"}
    assert listed("providers") == {"o-then-a", "a-then-o"}
    assert listed("here") == {"demo", "o-then-a", "a-then-o"}


def test_teams_of_the_caller(bounded: tuple[Gateway, dict[str, str]]) -> None:
    gateway, keys = bounded

    def teams(name: str) -> list[str]:
        answer = CLIENT.get(f"{gateway.url}/v1/teams", headers={"x-api-key": keys[name]})
        return [one["team_alias"] for one in answer.raise_for_status().json()["data"]]

    assert (teams("team"), teams("here")) == (["research"], [])
    assert CLIENT.get(f"{gateway.url}/v1/teams").status_code == 401


def test_a_tokens_caller_has_what_is_set_for_his_team(tmp_path: Path, config: dict[str, Any]) -> None:
    issuer = {
        "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks(public("p256", "k")), "claims": {"organization": "org", "team": "team"},
    }  # fmt: skip
    identities: dict[str, Any] = {"organizations": {"acme": {"models": ["gpt-*"]}}, "teams": {"research": {"organization": "acme"}}}
    with Gateway(tmp_path, {**config, "callers": {"jwt": [issuer]}, "identities": identities}) as one:
        asking = (one, {"ann": token(claims(org="acme", team="research")), "eve": token(claims(org="acme", team="sales"))})
        assert (asked(asking, "ann", "gpt-5"), asked(asking, "ann")) == ((200, ""), (403, "model_not_allowed"))
        assert asked(asking, "eve", "gpt-5") == (403, "unknown_identity")
        (team,) = CLIENT.get(f"{one.url}/v1/teams", headers={"x-api-key": asking[1]["ann"]}).json()["data"]
        assert (team["team_id"], team["team_alias"]) == ("team_research", "research")
        identities["teams"]["research"]["models"] = ["demo"]
        one.write({**config, "callers": {"jwt": [issuer]}, "identities": identities})
        one.until(lambda: asked(asking, "ann", "gpt-5") == (403, "model_not_allowed"), "the team is bounded")


def test_what_the_configuration_declares(tmp_path: Path, config: dict[str, Any]) -> None:
    key = "hg-" + "d" * 43
    identities: dict[str, Any] = {
        "organizations": {"acme": {"models": ["gpt-*"]}},
        "teams": {"research": {"organization": "acme"}},
        "keys": {"ci": {"organization": "acme", "team": "research", "secret": "env:CI_KEY"}},
    }
    one = Gateway(tmp_path, {**config, "identities": identities}, {"CI_KEY": key})
    with one:
        asking = (one, {"ci": key})
        assert (asked(asking, "ci", "gpt-5"), asked(asking, "ci")) == ((200, ""), (403, "model_not_allowed"))
        refused = one.run("teams", "update", "research", "gateway.yaml", "--organization", "acme", "--suspend")
        assert (refused.returncode, "stands in the gateway's configuration" in refused.stderr) == (1, True)
        identities["teams"]["research"]["models"] = ["demo"]
        one.write({**config, "identities": identities})
        one.until(lambda: asked(asking, "ci", "gpt-5") == (403, "model_not_allowed"), "the team is bounded")
        one.write({**config, "identities": {}})
        one.until(lambda: asked(asking, "ci", "gpt-5") == (401, "invalid_api_key"), "the key is gone")
        assert key not in one.log.read_text()
