"""What `headgate diff` says: one file for each pair."""

import io
from pathlib import Path

import pytest

from extproc.cli import main
from tests.plays import play

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("K1", "K2"):
        monkeypatch.setenv(name, f"sk-resolved-{name}")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_differences(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    play(path, tmp_path, capsys, monkeypatch, update=bool(request.config.getoption("--update")))
    assert "sk-" not in path.read_text().rpartition("----------\n")[2]


def test_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "gateway.yaml"
    old.write_text('providers: {one: {dialect: openai, base_url: "http://one.test"}}\nmodels: [{name: m, targets: [one]}]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(old.read_bytes())))
    assert main(["diff", "-"]) == 0
    assert capsys.readouterr().out == "gateway.yaml and - say the same\n"
    assert list(tmp_path.iterdir()) == [old]


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_what_only_whoever_has_the_secrets_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(
            'providers: {one: {dialect: openai, base_url: "http://one.test?a"}}\nmodels: [{name: m, targets: [one]}]\n'
        )
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "`headgate check` says where it is wrong" in capsys.readouterr().err
