"""`headgate ledger`."""

import contextlib
import json
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.ledger.central import Central
from extproc.ledger.places import places
from extproc.ledger.shipper import Shipper
from extproc.ledger.store import Store
from tests.ledger.test_aggregates import enter, record
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


def test_status_and_migrate(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LEDGER", postgres.url(postgres.create()))
    assert main(["ledger", "status", "--url", "env:LEDGER"]) == 1
    assert "no tables yet" in capsys.readouterr().out
    for _ in range(2):
        assert main(["ledger", "migrate", "--url", "env:LEDGER"]) == 0
        assert capsys.readouterr().out == "the ledger is of version 1\n"
    assert main(["ledger", "status", "--url", "env:LEDGER"]) == 0
    assert "no entries yet" in capsys.readouterr().out
    assert main(["invoices", "--month", "2026-10", "--url", "env:LEDGER"]) == 0
    assert "nothing was used" in capsys.readouterr().out
    assert main(["usage", "--format", "focus", "--url", "env:LEDGER"]) == 0
    assert capsys.readouterr().out.startswith("BilledCost,")


def test_usage_of_all_machines(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.url(postgres.create())
    monkeypatch.setenv("LEDGER", url)
    assert main(["ledger", "migrate", "--url", "env:LEDGER"]) == 0
    with contextlib.closing(Store(places(tmp_path).database)) as store:
        enter(store, record("a", team="red"), record("b", team="blue"), record("c", day=40, team="red"))
    with contextlib.closing(Shipper(tmp_path, url, keep=1e6)) as ships:
        ships.ship()
    capsys.readouterr()
    asked = ["usage", "--by", "team", "--since", "2026-09-01", "--until", "2026-10-01"]
    assert main([*asked, "--json", "--url", "env:LEDGER"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(row["team"], row["requests"]) for row in said["rows"]] == [("blue", 1), ("red", 1)] and said["total"]["requests"] == 2
    assert main(["usage", "--by", "colour", "--url", "env:LEDGER"]) == 2
    assert "'colour'" in capsys.readouterr().err
    # What reads this machine's alone says so.
    (tmp_path / "gateway.yaml").write_text("""
providers: {demo: {dialect: openai, base_url: "http://127.0.0.1:9/v1", key: x}}
models: [{name: m, targets: [demo]}]
ledger: {url: "env:LEDGER"}
""")
    local = [str(tmp_path / "gateway.yaml"), "--state", str(tmp_path)]
    assert main([*asked, *local]) == 0
    assert "this machine alone" in capsys.readouterr().err
    # What is about the ledger of all finds it where gateways do.
    for command in (["invoices", "--month", "2026-09"], ["ledger", "status"], ["ledger", "migrate"]):
        assert main([*command, *local]) == 0
        assert not capsys.readouterr().err


@pytest.mark.parametrize(("url", "code"), [("env:NOWHERE_TO_BE_FOUND", 2), ("env:WRONG", 2), ("env:AWAY", 1)])
def test_what_is_wrong(url: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WRONG", "mysql://h/secret")
    monkeypatch.setenv("AWAY", "postgresql://u:secret@/none?host=/nowhere")
    for command in (["ledger", "status"], ["invoices", "--month", "2026-10"], ["usage", "--format", "focus"]):
        assert main([*command, "--url", url]) == code
        assert "secret" not in "".join(capsys.readouterr())


def test_nobody_names_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ledger", "status"]) == 2
    assert "--url" in capsys.readouterr().err


def test_identities_and_ledger_may_share_a_database(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.url(postgres.create())
    monkeypatch.setenv("SHARED", url)
    for what in ("store", "ledger", "store", "ledger"):
        assert main([what, "migrate", "--url", "env:SHARED"]) == 0
    with contextlib.closing(Central(url)) as central:
        assert central.rows("SELECT count(*) FROM organizations", {})[0][0] == 0
