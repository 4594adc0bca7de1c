"""Prices for workers: those that a strategy asks for, and no others."""

from decimal import Decimal
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.control.pricing import quotes, unpriced
from extproc.control.source import Source
from extproc.engine import Engine
from extproc.snapshot import decode, decode_settings
from extproc.values import Target
from filters.route import Route
from tests.scene import CHAT, Books, Shelf, request, run

TEXT = """
providers:
  openai: {dialect: openai, base_url: "https://api.openai.com/v1", key: k}
  lab: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
models:
  - {name: gpt-4o, targets: [lab/unheard-of, openai, {to: lab/own, weight: 2}, {to: openai/gpt-4o-mini, weight: 0}], strategy: cheapest}
  - {name: other, targets: [openai/gpt-5, lab/x], strategy: least_busy}
prices: [{model: lab/own, input: "90", output: "90"}]
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return Source(path, tmp_path / "state", {})


def test_workers_have_the_prices_of_those_who_ask_for_them(source: Source) -> None:
    loaded = source.load()
    assert loaded.config is not None, loaded.problems
    found = quotes(loaded.config)
    assert set(found) == {"openai/gpt-4o", "lab/own", "openai/gpt-4o-mini"}
    assert found["lab/own"].cost(1_000_000, 0) == Decimal(90)
    data = source.message(loaded)
    assert decode_settings(decode(data)[1])[0].prices == found
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    engine.load(data)
    asked = request(body={**CHAT, "model": "gpt-4o"})
    run(Route().open(engine.current.environment).request(asked))
    assert asked.targets == tuple(Target(*name.split("/")) for name in ("openai/gpt-4o", "lab/own", "lab/unheard-of", "openai/gpt-4o-mini"))


def test_those_of_unknown_price_are_told(source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    config = source.load().config
    assert config is not None
    (line,) = unpriced(config)
    assert line.startswith("$.models[0].targets[0]: the price of `lab/unheard-of` is not known")
    assert main(["check", str(source.path), "--no-envoy"]) == 0
    assert f"warning: {line}" in capsys.readouterr().err
