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


ABSENT = """\
providers:
  gone: {dialect: openai, base_url: "http://gone.test/v1", key: env:HEADGATE_TEST_UNSET, optional: true}
  lab: {dialect: openai, base_url: "http://lab.test/v1", envoy_key_file: secret}
  cloud: {dialect: bedrock, base_url: "https://bedrock-runtime.eu-west-1.amazonaws.com", aws: {region: eu-west-1}}
models:
  - {name: nobody, targets: [gone]}
  - name: some
    strategy: cheapest
    targets: [gone/gpt-4o, lab/own, cloud/own]
  - name: instead
    strategy: cheapest
    targets: [gone/gpt-4o]
    otherwise: [gone/gpt-4o-mini, lab/other, lab/own]
"""


def test_all_of_them_say_where(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "gateway.yaml"
    path.write_text(ABSENT)
    assert main(["check", str(path), "--no-envoy"]) == 0
    told = [line.removeprefix(f"{path}:").split(": ")[:3] for line in capsys.readouterr().err.splitlines()]
    assert told == [
        ["3:36", "warning", "$.providers.lab.base_url"],
        ["3:74", "warning", "$.providers.lab.envoy_key_file"],
        ["4:10", "warning", "$.providers.cloud"],
        ["9:28", "warning", "$.models[1].targets[1]"],
        ["9:37", "warning", "$.models[1].targets[2]"],
        ["13:35", "warning", "$.models[2].otherwise[1]"],
        ["13:46", "warning", "$.models[2].otherwise[2]"],
    ]


BUDGET = """
providers: {demo: {base_url: "demo:", dialect: openai}, lab: {dialect: openai, base_url: "http://lab.test/v1"}}
models: [{name: m, targets: [demo, lab/own]}, {name: "x-*", targets: [lab]}]
filters: [{meter: {}}, {auth: {}}, {route: {}}, {limits: {rules: [{RULE}]}}]
"""


def test_budgets_without_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(BUDGET.replace("RULE", "cost: 5, window: day"))
    assert main(["check", str(path), "--no-envoy"]) == 0
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "budgets" in line)
    assert "warning: $.models[0].targets[1]: the price of `lab/own` is not known" in line
    path.write_text(BUDGET.replace("RULE", "tokens: 5, window: day"))
    assert main(["check", str(path), "--no-envoy"]) == 0
    assert "budgets" not in capsys.readouterr().err


FRAGMENT = """
providers: {one: {dialect: openai, base_url: "demo:"}}
models: [{name: m, targets: [one]}]
envoy: {clusters: [{name: mine, connect_timeout: soon}]}
"""


def test_envoy_s_word_on_the_operator_s_own_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(FRAGMENT)
    assert main(["check", str(path)]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{path}: error: $.envoy.clusters[0]: Envoy refuses it: ") and "connect_timeout" in told
