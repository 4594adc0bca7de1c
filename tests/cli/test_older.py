"""`headgate compile --envoy`: for an older Envoy than the configuration says."""

from pathlib import Path

import pytest

from extproc.cli import main

TEXT = """
providers:
  a: {dialect: openai, base_url: "http://127.0.0.1:1/v1"}
  b: {dialect: openai, base_url: "http://127.0.0.1:2/v1"}
models: [{name: m, targets: [a, b]}]
"""


def test_its_orders_are_compiled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    assert main(["compile", "attach", str(path), "--envoy", "1.38"]) == 0
    told = capsys.readouterr()
    assert "name: chain_a+b" in told.out and "name: chain_b+a" in told.out
    assert "priority_group" not in told.out
    assert 'say `envoy_version: "1.38"` in the configuration, too' in told.err
    path.write_text(TEXT + 'envoy_version: "1.38"\n')
    assert main(["compile", "attach", str(path)]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (told.out, "")
    assert main(["compile", "attach", str(path), "--envoy", "1.2"]) == 2
    assert "1.36 is the oldest" in capsys.readouterr().err
