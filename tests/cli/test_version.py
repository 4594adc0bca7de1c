"""`headgate version` needs nothing that it tells of."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from extproc.cli import main

_PROGRAM = """
import sys
from extproc.cli import main
main(["version"])
assert "grpc" not in sys.modules
"""


def test_it_imports_no_grpcio() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert "grpcio 1." in done.stdout


def test_without_grpcio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("extproc.cli.version.version", absent)
    assert main(["version"]) == 0
    assert "without grpcio" in capsys.readouterr().out
