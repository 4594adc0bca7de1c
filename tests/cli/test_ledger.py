"""`headgate ledger`."""

import contextlib

import pytest

from extproc.cli import main
from extproc.ledger.central import Central
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


@pytest.mark.parametrize(("url", "code"), [("env:NOWHERE_TO_BE_FOUND", 2), ("env:WRONG", 2), ("env:AWAY", 1)])
def test_what_is_wrong(url: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WRONG", "mysql://h/secret")
    monkeypatch.setenv("AWAY", "postgresql://u:secret@/none?host=/nowhere")
    for command in (["ledger", "status"], ["invoices", "--month", "2026-10"], ["usage", "--format", "focus"]):
        assert main([*command, "--url", url]) == code
        assert "secret" not in "".join(capsys.readouterr())


def test_identities_and_ledger_may_share_a_database(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.url(postgres.create())
    monkeypatch.setenv("SHARED", url)
    for what in ("store", "ledger", "store", "ledger"):
        assert main([what, "migrate", "--url", "env:SHARED"]) == 0
    with contextlib.closing(Central(url)) as central:
        assert central.rows("SELECT count(*) FROM organizations", {})[0][0] == 0
