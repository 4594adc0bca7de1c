"""Commands that ask no provider need no provider's secret."""

from pathlib import Path

import pytest

from extproc.cli import main
from extproc.ledger.store import Store

CONFIG = """
providers:
  openai:
  one: {dialect: openai, base_url: "https://one.test/v1", key: "file:secrets/one"}
  two: {dialect: openai, base_url: "env:NOT_SET_URL", key: "env:NOT_SET", optional: true}
  aws: {dialect: bedrock, base_url: "https://aws.test", aws: {region: eu-west-1, access_key: "env:NOT_SET", secret_key: "env:NOT_SET"}}
  google: {dialect: gemini, base_url: "https://google.test/v1", google: {credentials: "file:secrets/google.json"}}
models: [{name: m, targets: [openai, one, two, aws, google]}]
redis: {url: "env:NOT_SET"}
prices: [{model: "one/*", input: "1", output: "2"}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    return tmp_path


def test_keys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "alice"]) == 0
    assert main(["keys", "list"]) == 0
    assert "alice" in capsys.readouterr().out
    assert main(["keys", "revoke", "alice"]) == 0
    assert (folder / ".headgate").exists()


def test_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(folder / ".headgate" / "ledger.sqlite3").close()
    assert main(["usage"]) == 0
    assert "NOT_SET" not in capsys.readouterr().err


def test_what_starts_something_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--no-envoy"]) == 2
    assert "NOT_SET" in capsys.readouterr().err


def test_other_mistakes_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(CONFIG + "nonsense: 1\n")
    with pytest.raises(SystemExit):
        main(["keys", "list"])
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["env:NOT_SET_STATE", "file:not-there-either"])
def test_nothing_stands_in_for_the_folder(folder: Path, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(f"{CONFIG}state: {state}\n")
    with pytest.raises(SystemExit):
        main(["keys", "create", "alice"])
    told = capsys.readouterr().err
    assert "$.state" in told
    assert state.partition(":")[2] in told
    assert [one.name for one in folder.iterdir()] == ["gateway.yaml"]


def test_a_filter_may_have_one(folder: Path) -> None:
    filters = "filters: [auth: , route: , headers: {rules: [{request: {set: {x-token: 'env:NOT_SET'}}}]}]\n"
    (folder / "gateway.yaml").write_text(CONFIG + filters)
    assert main(["keys", "list"]) == 0
