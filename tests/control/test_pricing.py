"""Prices for workers: those that a strategy asks for, and no others."""

import asyncio
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.pricing import quotes, unpriced
from extproc.control.settling import Settling
from extproc.control.source import Source
from extproc.engine import Engine
from extproc.ledger.installed import Installed
from extproc.ledger.journal import Journal
from extproc.ledger.metrics import Metrics
from extproc.ledger.places import places
from extproc.ledger.record import Record
from extproc.limits.service import LimitService
from extproc.snapshot import decode, decode_settings
from extproc.usage import Usage
from extproc.values import Target
from filters.route import Route
from tests.scene import CHAT, Books, Shelf, request, run

TEXT = """
filters: [{meter: {}}, {auth: {}}, {route: {}}]
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


def test_lists_are_followed_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, state = tmp_path / "gateway.yaml", tmp_path / "state"
    path.write_text(TEXT + "pricing: {litellm: table.json, adjust: [{tenant: acme, factor: '2'}]}\n")
    table = tmp_path / "table.json"
    table.write_text('{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-06}}')
    config = Source(path, state, {}).load().config
    assert config is not None
    journal = Journal(places(state).journal, "0")
    books = Bookkeeper(state, config, Metrics("0"), tmp_path / "access.log", Settling(LimitService()))

    def priced(number: int, model: str = "gpt-4o") -> tuple[str, str, str]:
        journal.append(Record(id=str(number), time=1.8e9, tenant="acme", provider="openai", target=model, usage=Usage(1_000_000)))
        journal.flush()
        asyncio.run(books.collect())
        query = "SELECT price_source, cost, price FROM entries WHERE id = ?"
        with closing(sqlite3.connect(places(state).database)) as db:
            found: tuple[str, str, str] = db.execute(query, (str(number),)).fetchone()
            return found

    assert priced(1) == ("litellm:gpt-4o", "1", "2")
    table.write_text('{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 12e-06}}')
    assert priced(2) == ("litellm:gpt-4o", "12", "24")
    table.write_text("half of a tab")
    assert priced(3) == ("litellm:gpt-4o", "12", "24"), "the one before stays"
    assert "cannot be read" in caplog.text
    assert priced(4, "gpt-4o-mini")[0] == "genai-prices:openai/gpt-4o-mini"
    Installed(state).update(document("gpt-4o-mini"), "new.json")
    assert priced(5, "gpt-4o-mini") == ("catalogue:openai/gpt-4o-mini", "7", "14")
    Installed(state).revert()
    assert priced(6, "gpt-4o-mini")[0] == "genai-prices:openai/gpt-4o-mini"
    journal.close()
    asyncio.run(books.close())


def document(model: str) -> bytes:
    """A catalogue with one model of OpenAI's."""
    told = {"id": model, "prices": [{"rates": {"input": "7"}}]}
    return json.dumps({"format": "headgate-catalogue/1", "date": "2026-11-20", "providers": {"openai": {"models": [told]}}}).encode()


def test_a_catalogue_is_the_workers_business_too(source: Source, tmp_path: Path) -> None:
    config = source.load().config
    assert config is not None
    before = quotes(config, tmp_path)
    Installed(tmp_path).update(document("gpt-4o-mini"), "new.json")
    after = quotes(config, tmp_path)
    assert before["openai/gpt-4o"] == after["openai/gpt-4o"]
    assert after["openai/gpt-4o-mini"].cost(1_000_000, 0) == 7


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("pricing: {litellm: nowhere.json}", "$.pricing.litellm"),
        ("pricing: {adjust: [{factor: '-1'}]}", "$.pricing.adjust[0].factor"),
        ("pricing: {adjsut: []}", 'did you mean "adjust"?'),
    ],
)
def test_what_is_wrong_with_lists_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, told: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{TEXT}\n{more}\n")
    assert main(["check", str(path), "--no-envoy"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("price", "told"),
    [
        ("{model: lab/x}", "it names no price"),
        ("{model: lab/x, image: 1e-3}", "dollars each as a decimal in quotes"),
        ("{model: lab/x, input: '1', tier: flex}", "needs a price without `tier`"),
        ("{model: lab/x, input: '1', since: yesterday}", "a day, such as"),
        ("{model: lab/x, input: '1', since: '2026-02-30'}", "is no day"),
        ("{model: lab/x, input: '1', above: [{tokens: 5, output: '1'}]}", "no `output` for other prompts"),
        ("{model: lab/x, input: '1', above: [{tokens: 5}]}", "$.prices[1].above[0]: it names no price"),
        ("{model: lab/own, input: '1'}", "is for the same model"),
    ],
)
def test_what_is_wrong_with_own_prices_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], price: str, told: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT.replace('output: "90"}]', f'output: "90"}}, {price}]'))
    assert main(["check", str(path), "--no-envoy"]) == 2
    assert told in capsys.readouterr().err
