"""What `headgate check` warns of: one file for each kind."""

from pathlib import Path

import pytest

from tests.plays import play

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_lints(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("K1", "sk-one")
    play(path, tmp_path, capsys, monkeypatch, update=bool(request.config.getoption("--update")))
    assert "sk-" not in path.read_text().rpartition("----------\n")[2]
