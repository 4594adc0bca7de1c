"""`headgate invoices` and `headgate usage --format focus`."""

import csv
import io
import json
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.identity.record import Owner
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from tests.ledger.test_aggregates import record
from tests.stored import change


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    journal = Journal(places(tmp_path / "state").journal, "w")
    journal.append(record("a", day=5, team="red", provider="demo", target="demo"))
    journal.close()
    return tmp_path / "state"


def test_a_month(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invoices", "--state", str(state), "--month", "2026-10"]) == 0
    assert "Invoice of org, 2026-10" in capsys.readouterr().out
    assert main(["invoices", "--state", str(state), "--month", "2026-10", "--format", "json", "--organization", "org"]) == 0
    (made,) = json.loads(capsys.readouterr().out)
    assert made["organization"] == "org" and len(made["lines"]) == 1
    assert main(["invoices", "--state", str(state), "--month", "2026-10", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("month,organization,cost_centre,project,team,")
    assert main(["invoices", "--state", str(state), "--month", "2026-11"]) == 0
    assert capsys.readouterr().out == "nothing was used in 2026-11\n"


def test_an_organization_by_name(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["organizations", "create", "acme", "--state", str(state)]) == 0
    id = capsys.readouterr().out.strip()
    journal = Journal(places(state).journal, "w2")
    journal.append(record("b", day=6, owner=Owner(id), provider="demo", target="demo"))
    journal.close()
    asked = ["invoices", "--state", str(state), "--format", "json", "--month"]
    for said in ("acme", id):
        assert main([*asked, "2026-10", "--organization", said]) == 0
        (made,) = json.loads(capsys.readouterr().out)
        assert made["organization"] == id
    assert main(["invoices", "--state", str(state), "--month", "2026-09", "--organization", "acme"]) == 0
    assert capsys.readouterr().out == "nothing was used by acme in 2026-09\n"


def test_an_unknown_organization_is_no_empty_invoice(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["organizations", "create", "acme", "--state", str(state)]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["invoices", "--state", str(state), "--month", "2026-10", "--organization", "acmee"])
    told = capsys.readouterr().err
    assert "no organization 'acmee'" in told and "did you mean 'acme'?" in told


def test_focus(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["usage", "--state", str(state), "--format", "focus", "--since", "2026-10-01", "--issuer", "Acme IT"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("BilledCost,BillingAccountId,")
    assert ",Acme IT," in row


def test_focus_has_the_names_of_the_store(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    organization = change(state, lambda tables, _: tables.organizations.create("acme").id)
    team = change(state, lambda tables, _: tables.teams.create(organization, "Reds").id)
    journal = Journal(places(state).journal, "v")
    journal.append(record("b", day=5, owner=Owner(organization, team=team), provider="demo", target="demo"))
    journal.close()
    assert main(["usage", "--state", str(state), "--format", "focus", "--since", "2026-10-01"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["BillingAccountName"], row["SubAccountName"]) for row in rows} >= {("acme", "Reds")}


def test_what_is_wrong(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invoices", "--state", str(state), "--month", "october"]) == 2
    assert "no month" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["invoices", "--state", str(tmp_path / "empty"), "--month", "2026-10"]) == 2
    assert "no ledger" in capsys.readouterr().err
