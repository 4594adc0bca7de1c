from pathlib import Path

import certifi
import pytest

from extproc.envoy.binary import arguments, find_envoy, validate
from extproc.envoy.compile import compile_edge
from extproc.envoy.places import below
from tests.envoy.samples import SEVERAL


def test_named_binary_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_ENVOY", "/opt/envoy")
    assert find_envoy() == "/opt/envoy"


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
