"""Exports as providers write them: each says what the ledger has, and is recognized by its content."""

from pathlib import Path

import pytest

from extproc.cli import main
from tests.reconcile.books import books

EXPORTS = Path(__file__).parent / "exports"


@pytest.mark.parametrize("path", sorted(EXPORTS.iterdir()), ids=lambda path: path.name)
def test_it_agrees_with_the_ledger(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["reconcile", str(path), "--state", str(books(tmp_path))]
    if path.name.startswith("aws"):
        given += ["--provider", "aws"]
    assert main(given) == 0, capsys.readouterr().out
    assert "no difference" in capsys.readouterr().out
