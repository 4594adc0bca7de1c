"""`headgate compile attach --for`, as operators call it."""

from pathlib import Path

import pytest
import yaml

from extproc.cli import main

TEXT = """
ext_proc: {address: 127.0.0.1, host: headgate.example}
providers:
  one: {dialect: openai, base_url: 'https://one.example/v1'}
  two: {dialect: openai, base_url: 'https://two.example/v1'}
models: [{name: both, targets: [one/m, two/m]}, {name: '*', targets: [one]}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(("platform", "told"), [("envoy-gateway", True), ("kgateway", True), ("istio", False)])
def test_manifests_are_printed_and_what_they_lack_is_told(
    config: Path, capsys: pytest.CaptureFixture[str], platform: str, told: bool
) -> None:
    where = ["--namespace", "ai", "--gateway", "g", "--listener", "l", "--port", "8443", "--host", "ai.test"]
    assert main(["compile", "attach", "--for", platform, *where, str(config)]) == 0
    out, err = capsys.readouterr()
    objects = [one for one in yaml.safe_load_all(out) if one]
    assert {one["metadata"]["namespace"] for one in objects} == {"ai"}
    assert "ai.test" in out
    assert ("(both)" in err) == told


def test_it_is_for_attaching_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "edge", "--for", "istio", str(config)]) == 2
    assert "--for goes with `headgate compile attach`" in capsys.readouterr().err


def test_workers_have_to_be_reached(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("\n".join(line for line in TEXT.splitlines() if not line.startswith("ext_proc")))
    assert main(["compile", "attach", "--for", "istio", str(config)]) == 2
    assert "no `ext_proc`" in capsys.readouterr().err
