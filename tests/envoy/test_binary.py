from pathlib import Path

import certifi
import pytest

from extproc.envoy.binary import arguments, find_envoy, usable_envoy, validate
from extproc.envoy.compile import compile_edge
from extproc.envoy.places import below
from tests.envoy.samples import SEVERAL


def program(path: Path, says: str) -> str:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


def test_named_binary_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = program(tmp_path / "envoy", "envoy  version: 9e5580/1.41.0-dev/Clean/RELEASE/BoringSSL")
    monkeypatch.setenv("HEADGATE_ENVOY", named)
    assert find_envoy() == usable_envoy() == named


def test_nothing_at_the_named_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADGATE_ENVOY", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"^no Envoy: HEADGATE_ENVOY says .*/none, and there is no program there$"):
        usable_envoy()


@pytest.mark.parametrize(
    ("says", "why"),
    [("hello", "no Envoy: .* is something else"), ("envoy  version: 9e5580/1.38.2/Clean/RELEASE/BoringSSL", "is 1.38, and")],
)
def test_a_program_that_will_not_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, why: str) -> None:
    monkeypatch.setenv("HEADGATE_ENVOY", program(tmp_path / "envoy", says))
    with pytest.raises(FileNotFoundError, match=why):
        validate({})


def test_found_without_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_ENVOY", raising=False)
    assert Path(find_envoy()).is_file()


def test_logs_are_flushed_soon_and_no_hot_restart() -> None:
    assert arguments("x.yaml", threads=3) == [
        *("--config-path", "x.yaml", "--concurrency", "3", "--file-flush-interval-msec", "250", "--disable-hot-restart")
    ]


def test_faults_are_told_without_the_document(tmp_path: Path) -> None:
    document = compile_edge(SEVERAL, below(str(tmp_path), ca_file=certifi.where()))
    document["static_resources"]["clusters"][0]["connect_timeout"] = "soon"
    (error,) = validate(document)
    assert "static_resources.clusters[0].connect_timeout" in error
    assert "headgate_adapter" not in error


def test_unknown_fields_are_faults(tmp_path: Path) -> None:
    document = compile_edge(SEVERAL, below(str(tmp_path), ca_file=certifi.where()))
    document["static_resources"]["listeners"][0]["colour"] = "red"
    (error,) = validate(document)
    assert "'colour'" in error


def test_missing_files_are_faults(tmp_path: Path) -> None:
    (error,) = validate(compile_edge(SEVERAL, below(str(tmp_path), ca_file=str(tmp_path / "none.pem"))))
    assert str(tmp_path / "none.pem") in error
