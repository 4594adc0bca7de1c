"""What is said of keys that Envoy alone reads, without a look into them."""

import os
from pathlib import Path

import pytest

from extproc.config.model import Config, Model, Provider
from extproc.control.sealed import lacking


def said(path: Path) -> list[str]:
    provider = Provider(dialect="openai", base_url="https://it.test", envoy_key_file=str(path))
    other = Provider(dialect="openai", base_url="https://other.test", key="k")
    return lacking(Config(providers={"it": provider, "other": other}, models=(Model(name="*", targets=("it", "other")),)))


def test_a_file_as_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-secret")
    path.chmod(0o600)
    assert said(path) == []


@pytest.mark.parametrize(("mode", "text", "part"), [(0o644, "sk-secret", "mode 0644"), (0o600, "", "is empty")])
def test_a_file_with_something_wrong(tmp_path: Path, mode: int, text: str, part: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    (told,) = said(path)
    assert told.startswith("$.providers.it.envoy_key_file: ") and part in told and "sk-secret" not in told


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not there" in said(tmp_path / "gone")[0]
    assert "is not a regular file" in said(tmp_path)[0]
    assert "is not a regular file" in said(tmp_path / "pipe")[0]
    (tmp_path / "file").write_text("x")
    assert "cannot be seen" in said(tmp_path / "file" / "key")[0]
