"""`headgate admin`, as far as it goes without a gateway: what is said wrongly, and keys that are made on the spot."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from extproc.admin import operator_keys
from extproc.cli import main
from extproc.cli.admin import KEY, said
from extproc.cli.admin.shown import as_list, as_table
from tests.e2e.ports import free_port


def test_another_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = operator_keys.make(tmp_path, 1)
    assert main(["admin", "key", "--new", "--state", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    key = shown.out.strip()
    assert (tmp_path / "admin.key").read_text().strip() == key and str(tmp_path / "admin.key") in shown.err
    assert operator_keys.is_good(tmp_path, key) and operator_keys.is_good(tmp_path, first)
    assert main(["admin", "key", "--new", "--only", "--state", str(tmp_path)]) == 0
    assert not operator_keys.is_good(tmp_path, key) and not operator_keys.is_good(tmp_path, first)


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(KEY, raising=False)
    state = ["--state", str(tmp_path)]
    assert main(["admin", "me", *state]) == 1
    assert capsys.readouterr().err == f"headgate admin: there is no key: set {KEY}, or name one with --key; {tmp_path} has none\n"
    assert main(["admin", "me", "--key", "env:NO_SUCH_KEY", *state]) == 1
    assert "--key" in capsys.readouterr().err
    monkeypatch.setenv(KEY, "hga-x")
    assert main(["admin", "me", "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "Does the gateway run, and is its `api` on?" in capsys.readouterr().err
    assert main(["admin", "me", "--url", "127.0.0.1:1"]) == 1
    assert "is no URL of an admin API" in capsys.readouterr().err
    assert main(["admin", "teams", "list", "--url", "http://127.0.0.1:1"]) == 1
    assert "say where: --organization" in capsys.readouterr().err


def test_what_options_say() -> None:
    assert said.budget("50.5/month") == {"unit": "cost", "amount": "50.5", "window": "month"}
    assert [said.seconds(text) for text in ("90", "15m", "1h", "7d")] == [90, 900, 3600, 604_800]
    assert said.pair('settings.models=["gpt-*"]') == (["settings", "models"], ["gpt-*"])
    assert said.pair("name=acme") == (["name"], "acme")
    for wrong in (lambda: said.budget("50"), lambda: said.seconds("soon"), lambda: said.pair("name"), lambda: said.pair("a..b=1")):
        with pytest.raises(argparse.ArgumentTypeError):
            wrong()


def test_an_end_is_said_as_for_other_keys() -> None:
    soon = datetime.fromisoformat(said.expiry("30d"))
    assert timedelta(days=30) - (soon - datetime.now(UTC)) < timedelta(minutes=10)
    assert said.expiry("2027-06-01T00:00:00Z") == "2027-06-01T00:00:00Z"


def test_a_change_is_an_update_too(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("change", "update"):
        assert main(["admin", "keys", name, "key_red", "--expires", "30d", "--key", "env:NO_SUCH_KEY"]) == 1
        assert "--key" in capsys.readouterr().err


def test_a_body_is_a_file_then_options_then_the_rest(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"name": "a", "settings": {"tags": {"x": "1"}}}')
    given = argparse.Namespace(
        file=tmp_path / "body.json", name="b", plan="", budget=[said.budget("5/day")], set=[said.pair("settings.tags.y=2")]
    )  # fmt: skip
    assert said.body(given, ("name",), level=True) == {
        "name": "b", "plan_id": None, "settings": {"tags": {"x": "1", "y": 2}, "limits": [said.budget("5/day")]}
    }  # fmt: skip


def test_what_is_printed() -> None:
    rows = [
        {"id": "team_1", "name": "red", "deleted_at": None, "plan_id": None},
        {"id": "team_2", "name": "blue", "deleted_at": "2026-11-22T15:00:00Z", "plan_id": None},
    ]
    table = "ID      NAME  DELETED\nteam_1  red   -\nteam_2  blue  2026-11-22 15:00:00Z"
    assert as_table(rows, ("id", "name", "plan_id", "deleted_at")) == table
    assert as_table([], ("id", "name", "plan_id")) == "ID  NAME"
    assert as_list({"id": "x", "settings": {}, "tags": {"a": "b"}}) == 'id    x\ntags  {"a":"b"}'
