"""`headgate check`: what works, but hardly as it was meant, is told, and the file is good all the same."""

from pathlib import Path

import pytest

from extproc.cli import main

CONFIG = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1/chat", prices: opnai}}
models: [{name: m, targets: [one]}]
"""


def test_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    assert main(["check", str(path), "--no-envoy"]) == 0
    told = capsys.readouterr()
    address, prices = told.err.splitlines()
    assert "warning" in address
    assert "$.providers.one.base_url: `/chat` belongs to an endpoint's own path" in address
    assert "warning" in prices
    assert "$.providers.one.prices: its requests will be unpriced" in prices
    assert told.out.startswith(f"{path}: good;")
