"""As whom a request is explained: keys of the state folder, which need not be known, and what they may do."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.cli import main

CONFIG = """
providers:
  one: {dialect: openai, base_url: "http://one.test/v1"}
  two: {dialect: openai, base_url: "http://two.test/v1"}
models:
  - {name: small, targets: [one, two]}
  - {name: large, targets: [one]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    assert main(["keys", "create", "alice", "--models", "small"]) == 0
    return tmp_path


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["explain", *arguments, "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (1 if told["outcome"] == "refused" else 0)
    return told


def test_a_key_by_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explained(capsys, "--model", "small", "--key", "alice")
    assert (told["outcome"], told["key"], told["tenant"]) == ("forwarded", "alice", "alice")
    refused = explained(capsys, "--model", "large", "--key", "alice")
    assert (refused["outcome"], refused["answer"]["status"], refused["answer"]["by"]) == ("refused", 403, "the filter `route`")


def test_by_its_secret_and_by_its_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["keys", "list", "--json"]) == 0
    (key,) = json.loads(capsys.readouterr().out)
    assert explained(capsys, "--model", "small", "--key", key["id"])["key"] == "alice"
    assert main(["keys", "create", "bob"]) == 0
    secret = next(word for word in capsys.readouterr().out.split() if word.startswith("hg-"))
    told = explained(capsys, "--model", "large", "-H", f"authorization: Bearer {secret}")
    assert told["key"] == "bob"
    assert secret not in json.dumps(told)


def test_nobody_gets_in_without_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explained(capsys, "--model", "small")
    assert (told["answer"]["status"], told["answer"]["code"]) == (401, "missing_api_key")
    assert explained(capsys, "--model", "large", "--as", "acme")["tenant"] == "acme"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    explained(capsys, "--model", "small")
    assert [one.name for one in tmp_path.iterdir()] == ["gateway.yaml"]
