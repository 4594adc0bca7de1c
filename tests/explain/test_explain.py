"""What `headgate explain` says: one file for each question."""

from pathlib import Path

import pytest

from tests.plays import play

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_explanations(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    play(path, tmp_path, capsys, monkeypatch, update=bool(request.config.getoption("--update")))
