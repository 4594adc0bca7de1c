"""`headgate organizations|teams|users|...` and keys of them: made, found by name, changed, taken out; on SQLite and on PostgreSQL."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extproc.cli import main
from extproc.keys import digest
from extproc.store import schema
from extproc.store.database import Database, url_of
from extproc.store.store import Store
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]

CONFIG = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1"}}
models: [{name: m, targets: [one]}]
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def headgate(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: its exit code, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def shown(headgate: Command, *arguments: str) -> Any:
    code, out, err = headgate(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def good(headgate: Command, *arguments: str) -> str:
    code, out, err = headgate(*arguments)
    assert code == 0, err
    return out.strip()


def test_a_key_of_a_team_with_bounds(headgate: Command, folder: Path) -> None:
    good(headgate, "plans", "create", "free", "--limit", "requests=10k/month")
    good(headgate, "organizations", "create", "acme", "--models", "gpt-*,claude-*", "--budget", "500/month")
    good(headgate, "teams", "create", "research", "--organization", "acme", "--tag", "floor=3")
    create = (
        "keys",
        "create",
        "ci",
        "--organization",
        "acme",
        "--team",
        "research",
        "--budget",
        "50/month",
        "--limit",
        "requests=1000/day",
    )
    key = good(headgate, *create, "--models", "gpt-*", "--expires", "30d", "--plan", "free", "--networks", "10.0.0.0/8")
    (one,) = shown(headgate, "keys", "list", "--organization", "acme", "--team", "research")
    assert (one["name"], one["tenant"], one["prefix"]) == ("ci", "acme", key[:11])
    assert one["settings"]["limits"] == [
        {"unit": "cost", "amount": "50", "window": "month"},
        {"unit": "requests", "amount": "1000", "window": "day"},
    ]
    assert key not in json.dumps(one) and "digest" not in one
    with contextlib.closing(Store.open(folder / ".headgate")) as store:
        (told,) = store.following.each()
        assert told.digest == digest(key) and told.owner is not None and told.owner.team == one["team_id"]
        assert told.settings.networks == ("10.0.0.0/8",) and told.plan and told.expires_at is not None
    table = good(headgate, "keys", "list")
    assert "models: gpt-*; cost=50/month; requests=1000/day; plan plan_" in table.replace("networks: 10.0.0.0/8; ", "")
    assert "organization" in headgate("keys", "create", "x", "--organization", "nobody")[2]


def test_who_forgets_the_organization_is_told_which_was_meant(headgate: Command) -> None:
    good(headgate, "organizations", "create", "acme")
    assert "--organization acme" in headgate("teams", "show", "research")[2]
    good(headgate, "teams", "create", "research", "--organization", "acme")
    good(headgate, "keys", "create", "main", "--organization", "acme")
    assert "acme has one: --organization acme" in headgate("keys", "rotate", "main")[2]
    good(headgate, "keys", "create", "other")
    said = "no team 'research' in the organization 'default'; acme has one: --organization acme."
    assert said in headgate("keys", "create", "x", "--team", "research")[2]
    told = headgate("keys", "rotate", "main")[2]
    assert "in the organization 'default' of " in told and "acme has one: --organization acme;" in told
    assert "acme" not in headgate("keys", "rotate", "nobody")[2]


def test_models_that_no_configured_one_fits(headgate: Command, folder: Path) -> None:
    (folder / "gateway.yaml").write_text(CONFIG.replace("name: m,", 'name: "gpt-*",'))
    told = headgate("keys", "create", "one", "--models", "gtp-*,gpt-4o,*-mini,*")[2]
    assert "warning: no configured model fits 'gtp-*'; did you mean \"gpt-*\"?" in told
    assert told.count("warning") == 1


def test_a_secret_before_a_rotation_is_found(headgate: Command) -> None:
    before = good(headgate, "keys", "create", "one").strip()
    _, out, err = headgate("keys", "rotate", "one", "--overlap", "1h")
    after = out.strip()
    assert "the secret before is good until 20" in err
    (found,) = shown(headgate, "keys", "find", before)
    assert found["name"] == "one" and found["prefix"] == after[:11] and found["note"].startswith("previous secret, good until ")
    assert "previous secret, good until " in good(headgate, "keys", "find", before)
    (found,) = shown(headgate, "keys", "find", after)
    assert found["state"] == "in force" and "note" not in found
    assert [key["prefix"] for key in shown(headgate, "keys", "list")] == [after[:11]]


def test_rotate_disable_enable_find(headgate: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = good(headgate, "keys", "create", "one")
    second = good(headgate, "keys", "rotate", "one", "--overlap", "1h")
    assert first != second

    def in_force() -> set[bytes]:
        with contextlib.closing(Store.open(folder / ".headgate")) as store:
            return {key.digest for key in store.following.each()}

    assert in_force() == {digest(first), digest(second)}
    good(headgate, "keys", "disable", "one")
    assert in_force() == set()
    assert shown(headgate, "keys", "list", "--in-force") == []
    good(headgate, "keys", "enable", "one")
    third = good(headgate, "keys", "rotate", "one")
    assert in_force() == {digest(third)}
    (found,) = shown(headgate, "keys", "find", third[:11])
    assert found["name"] == "one"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{third}\n"))
    assert "one" in good(headgate, "keys", "find", "-")
    assert headgate("keys", "find", "hg-nobodys")[0] == 1
    assert "by the whole key" in headgate("keys", "find", "hg-nobodys")[2]
    assert headgate("keys", "disable", "nobody")[0] == 1
    good(headgate, "keys", "revoke", found["id"])
    assert headgate("keys", "enable", "one")[0] == 1


def test_groups_are_listed_changed_and_taken_out(headgate: Command) -> None:
    good(headgate, "organizations", "create", "acme")
    for command in ("projects", "teams", "service-accounts"):
        id = good(headgate, command, "create", "first", "--organization", "acme", "--models", "gpt-*")
        update = ("update", "first", "--organization", "acme")
        good(headgate, command, *update, "--rename", "second", "--clear", "models", "--cost-centre", "4711", "--suspend")
        one = shown(headgate, command, "show", id, "--organization", "acme")
        assert (one["name"], one["settings"], "disabled_at" in one) == ("second", {"cost_centre": "4711"}, True)
        assert [each["id"] for each in shown(headgate, command, "list", "--organization", "acme")] == [id]
        assert "cost centre 4711" in good(headgate, command, "list")
        good(headgate, command, "update", "second", "--organization", "acme", "--resume")
        good(headgate, command, "delete", "second", "--organization", "acme")
        assert shown(headgate, command, "list") == []
    code, _, told = headgate("teams", "show", "first", "--organization", "acme")
    assert (code, "no team 'first'" in told) == (1, True)
    assert headgate("organizations", "create", "acme")[0] == 1
    assert headgate("teams", "create", "x", "--limit", "nonsense")[0] == 2
    assert headgate("teams", "create", "x", "--organization", "acme", "--networks", "10.0.0.1/8")[0] == 2
    assert headgate("teams", "update", "x", "--clear", "nonsense")[0] == 2


def test_users_are_members(headgate: Command) -> None:
    good(headgate, "organizations", "create", "acme")
    good(headgate, "teams", "create", "research", "--organization", "acme")
    good(headgate, "users", "create", "Ann", "--email", "Ann@example.com")
    assert headgate("keys", "create", "anns", "--organization", "acme", "--user", "Ann")[0] == 1
    good(headgate, "users", "join", "ann@example.com", "--organization", "acme", "--role", "owner")
    good(headgate, "users", "join", "Ann", "--organization", "acme", "--team", "research")
    good(headgate, "users", "join", "Ann", "--organization", "acme", "--team", "research", "--role", "admin")
    good(headgate, "keys", "create", "anns", "--organization", "acme", "--user", "Ann")
    held = shown(headgate, "users", "show", "Ann")["memberships"]
    assert sorted(one["role"] for one in held) == ["admin", "owner"]
    good(headgate, "users", "leave", "Ann", "--organization", "acme", "--team", "research")
    assert headgate("users", "leave", "Ann", "--organization", "acme", "--team", "research")[0] == 1
    code, _, told = headgate("users", "leave", "Ann", "--organization", "acme")
    assert (code, "last owner" in told) == (1, True)
    good(headgate, "users", "create", "Ann")
    assert "Several users" in headgate("users", "show", "Ann")[2]


def test_plans(headgate: Command) -> None:
    good(headgate, "plans", "create", "free", "--limit", "requests=1/day")
    good(headgate, "plans", "update", "free", "--limit", "requests=2/day", "--warn", "cost=1/day", "--rename", "small")
    assert good(headgate, "plans", "list").splitlines()[1].endswith("requests=2/day; cost=1/day (warns)")
    good(headgate, "organizations", "create", "acme", "--plan", "small")
    code, _, told = headgate("plans", "delete", "small")
    assert (code, "The plan is that of org_" in told) == (1, True)
    good(headgate, "organizations", "update", "acme", "--clear", "plan")
    good(headgate, "plans", "delete", "small")


def test_nothing_is_made_by_looking(headgate: Command, folder: Path) -> None:
    assert shown(headgate, "teams", "list") == []
    assert headgate("teams", "show", "x")[0] == 1
    assert not (folder / ".headgate").exists()


@pytest.fixture
def on_postgres(folder: Path, postgres: PostgresServer) -> str:
    url = postgres.url(postgres.create())
    (folder / "gateway.yaml").write_text(f"{CONFIG}store: {{url: {json.dumps(url)}}}\n")
    return url


def test_the_store_that_the_configuration_names(headgate: Command, folder: Path, on_postgres: str) -> None:
    code, _, told = headgate("keys", "create", "one")
    assert (code, "run `headgate store migrate`" in told) == (1, True)
    good(headgate, "store", "migrate")
    key = good(headgate, "keys", "create", "one")
    assert [one["name"] for one in shown(headgate, "keys", "list")] == ["one"]
    assert shown(headgate, "teams", "list") == []
    with contextlib.closing(Database(url_of(on_postgres))) as database:
        assert schema.found(database).usable
        assert [one.digest for one in Store(database).following.each()] == [digest(key)]
    assert not (folder / ".headgate").exists()
    (folder / "gateway.yaml").write_text(f"{CONFIG}store: {{url: 'postgresql://nobody@/x?host={folder}'}}\n")
    code, _, told = headgate("keys", "list")
    assert code == 1 and told.startswith("the store cannot be used")


def test_everything_moves_to_another_store(headgate: Command, folder: Path, postgres: PostgresServer) -> None:
    good(headgate, "plans", "create", "free", "--limit", "requests=10/day")
    good(headgate, "organizations", "create", "acme", "--budget", "5/month", "--plan", "free")
    good(headgate, "teams", "create", "red", "--organization", "acme", "--models", "gpt-*")
    key = good(headgate, "keys", "create", "one", "--organization", "acme", "--team", "red")
    good(headgate, "keys", "rotate", "one", "--organization", "acme", "--overlap", "24h")
    before = [shown(headgate, what, "list") for what in ("organizations", "plans", "keys")]
    code, _, told = headgate("store", "copy")
    assert (code, told) == (2, "where to? set `store: {url: ...}` in the configuration, or say --url\n")
    url = postgres.url(postgres.create())
    (folder / "gateway.yaml").write_text(f"{CONFIG}store: {{url: {json.dumps(url)}}}\n")
    code, _, told = headgate("store", "copy")
    assert code == 1 and "run `headgate store migrate`" in told
    code, _, told = headgate("check", "--no-envoy")
    assert code == 0 and "could not be asked" in told
    good(headgate, "store", "migrate")
    code, _, told = headgate("check", "--no-envoy")
    assert code == 0 and "store.sqlite has 1 key that the store there does not know" in told
    copied = good(headgate, "store", "copy")
    assert copied.startswith("copied: ") and "1 keys" in copied and "1 teams" in copied
    assert [shown(headgate, what, "list") for what in ("organizations", "plans", "keys")] == before
    with contextlib.closing(Database(url_of(url))) as database:
        assert digest(key) in {one.digest for one in Store(database).following.each()}, "the secret before is good as long as it was"
    code, _, told = headgate("check", "--no-envoy")
    assert (code, "does not know" in told) == (0, False)
    code, _, told = headgate("store", "copy")
    assert code == 1 and told.startswith("nothing is copied: there are ")
    (folder / "gateway.yaml").write_text(f"{CONFIG}store: {{url: 'postgresql://nobody@/x?host={folder}'}}\n")
    code, _, told = headgate("check", "--no-envoy")
    assert code == 0 and "could not be asked" in told


def test_a_mistake_in_the_configuration_need_not_be_mended_first(headgate: Command, folder: Path) -> None:
    good(headgate, "keys", "create", "one")
    (folder / "gateway.yaml").write_text("modles: []\n")
    code, _, err = headgate("keys", "list")
    assert code == 2 and "--state FOLDER" in err
    assert "one" in good(headgate, "keys", "list", "--state", ".headgate")
