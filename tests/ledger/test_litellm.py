"""LiteLLM's table: its grammar, its traps, and that nothing in it is taken for free which does not say so."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from extproc.config.model import Price, Provider
from extproc.ledger.litellm import LiteLLM, read
from extproc.ledger.prices import Lists, PriceBook, Priced
from extproc.ledger.record import Record
from extproc.usage import Usage

PROVIDERS = {
    "openai": Provider(dialect="openai", base_url="https://api.openai.com/v1"),
    "google": Provider(dialect="gemini", base_url="https://generativelanguage.googleapis.com"),
    "deepseek": Provider(dialect="openai", base_url="https://api.deepseek.com"),
    "lab": Provider(dialect="openai", base_url="http://lab.internal/v1", prices="dashscope"),
}
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def book(entries: dict[str, Any], *own: Price) -> PriceBook:
    """Prices by this table."""
    return PriceBook(own, PROVIDERS, Lists(LiteLLM(json.dumps(entries).encode())))


def cost(entry: dict[str, Any], usage: Usage, when: datetime = NOON, provider: str = "openai", **more: Any) -> Decimal | None:
    """What the only model of a table costs."""
    named = {"litellm_provider": provider, **entry}
    return priced(
        book({"m": named, "other": {"litellm_provider": "x", "input_cost_per_token": 1}}), provider, "m", usage, when, **more
    ).cost


def priced(of: PriceBook, provider: str, model: str, usage: Usage, when: datetime = NOON, **more: Any) -> Priced:
    """What it costs."""
    return of.price(Record(id="a", time=when.timestamp(), provider=provider, target=model, usage=usage, attempts=1, **more))


def test_prices_are_decimals_as_they_are_written() -> None:
    entry = {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08}
    assert cost(entry, Usage(1_000_003, 7, 10)) == Decimal("0.15000390")
    found = priced(book({"openai/gpt-x": {"litellm_provider": "openai", **entry}}), "openai", "gpt-x", Usage(1))
    assert found.source == "litellm:openai/gpt-x"
    assert found.version.startswith("litellm sha256:")


@pytest.mark.parametrize(
    ("entry", "usage", "wanted"),
    [
        (
            {"cache_creation_input_token_cost": 2e-06, "cache_creation_input_token_cost_above_1hr": 3e-06},
            Usage(10, 0, 0, 10, 4),
            "0.000024",
        ),
        ({"output_cost_per_reasoning_token": 4e-06}, Usage(0, 10, reasoning=4), "0.000028"),
        ({"input_cost_per_audio_token": 9e-06, "output_cost_per_audio_token": 8e-06}, Usage(10, 10, 0, 0, 0, 0, 4, 5), "0.000092"),
        ({"output_cost_per_image_token": 5e-05}, Usage(0, 10, output_image=10), "0.0005"),
        ({"input_cost_per_token_above_200k_tokens": 3e-06}, Usage(200_000), "0.2"),
        ({"input_cost_per_token_above_200k_tokens": 3e-06}, Usage(200_001), "0.600003"),
        ({"input_cost_per_token_above_200k_tokens_priority": 7e-06, "input_cost_per_token_priority": 5e-06}, Usage(200_001), "0.200001"),
        (
            {"input_cost_per_token_above_200k_tokens_priority": 7e-06, "input_cost_per_token_priority": 5e-06},
            Usage(200_001, tier="priority"),
            "1.400007",
        ),
        ({"input_cost_per_token_priority": 5e-06}, Usage(10, 10, tier="priority"), "0.00007"),
        ({"input_cost_per_token_batches": 5e-07}, Usage(10, tier="batch"), "0.000005"),
        ({"input_cost_per_token_flex": "5e-07"}, Usage(10, tier="flex"), "0.000005"),
        ({"input_cost_per_request": 0.005}, Usage(10), "0.00501"),
    ],
)
def test_the_grammar_of_names(entry: dict[str, Any], usage: Usage, wanted: str) -> None:
    assert cost({"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, **entry}, usage) == Decimal(wanted)


def test_tiers_are_of_the_whole_request() -> None:
    tiers = [{"range": [0, 256000.0], "input_cost_per_token": 1e-06}, {"range": [256000.0, 1e6], "input_cost_per_token": 4e-06}]
    assert cost({"tiered_pricing": tiers}, Usage(256_000)) == Decimal("0.256")
    assert cost({"tiered_pricing": tiers}, Usage(256_001)) == Decimal("1.024004")
    assert cost({"tiered_pricing": [*tiers, {"input_cost_per_token": 1}]}, Usage(10)) is None, "half a table is none"


def test_off_peak() -> None:
    entry = {
        "input_cost_per_token": 4e-06,
        "off_peak_pricing": {
            "input_cost_per_token": 1e-06, "weekday_timezone": "Asia/Shanghai",
            "windows": [{"hours_utc": ["16:30-00:30", "bad"], "weekdays": [1, 2]}, {"hours_utc": "00:00-00:00", "weekdays": ["Sun", True]}],
        },
    }  # fmt: skip

    def at(month: int, day: int, hour: int, minute: int = 0) -> Decimal | None:
        return cost(entry, Usage(1_000_000), datetime(2026, month, day, hour, minute, tzinfo=UTC))

    assert [at(11, 2, 12), at(11, 2, 16, 29), at(11, 4, 17)] == [4, 4, 4]
    # Monday there begins at four in the afternoon here; Sunday is cheap from that time of Saturday on.
    assert [at(11, 2, 16, 30), at(11, 3, 0, 29), at(11, 7, 16), at(11, 8, 15)] == [1, 1, 1, 1]
    flat = {"input_cost_per_token": 4e-06, "off_peak_pricing": {"hours_utc": "11:00-13:00", "input_cost_per_token": 2e-06}}
    assert cost(flat, Usage(1_000_000)) == 2


@pytest.mark.parametrize(
    ("entry", "unit", "amount", "wanted"),
    [
        ({"mode": "image_generation", "output_cost_per_image": 0.04}, "images", 2, "0.08"),
        ({"mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001}, "seconds", 2.5, "0.00025"),
        ({"mode": "audio_speech", "input_cost_per_character": 1.5e-05}, "characters", 100, "0.0015"),
        (
            {"mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0, "output_cost_per_token": 0},
            "searches",
            3,
            "0.006",
        ),
        ({"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_image": 0.04}, "images", 2, None),
        ({"mode": "image_generation", "input_cost_per_pixel": 1e-9}, "images", 2, None),
    ],
)
def test_pieces(entry: dict[str, Any], unit: str, amount: float, wanted: str | None) -> None:
    assert cost(entry, Usage(), unit=unit, amount=amount) == (None if wanted is None else Decimal(wanted))


def test_pictures_that_are_sold_by_tokens_are_not_sold_twice() -> None:
    entry = {
        "mode": "image_generation",
        "input_cost_per_token": 1e-06,
        "output_cost_per_image_token": 3e-05,
        "output_cost_per_image": 0.039,
    }
    assert cost(entry, Usage(0, 1290, output_image=1290), unit="images", amount=1) == Decimal("0.0387")
    assert cost(entry, Usage(0, 1290), unit="images", amount=1) == Decimal("0.0387")


def test_what_has_no_price_is_unpriced_and_not_free() -> None:
    assert cost({"max_tokens": 1000, "mode": "chat"}, Usage(10)) is None
    assert cost({"input_cost_per_token": 1e-06}, Usage(10, 1)) is None
    assert cost({"input_cost_per_token": None, "output_cost_per_token": True}, Usage(10)) is None
    assert cost({"input_cost_per_token": -1}, Usage(10)) is None
    assert cost({"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}, Usage(10, 10)) == 0


def test_which_entry_it_is() -> None:
    def of(price: float, provider: str) -> dict[str, Any]:
        return {"litellm_provider": provider, "input_cost_per_token": price}

    table = book(
        {
            "gpt-4o": of(1e-06, "openai"),
            "azure/gpt-4o": of(2e-06, "azure"),
            "gemini/gemini-x": of(3e-06, "gemini"),
            "gemini-x": of(4e-06, "vertex_ai-language-models"),
            "gemini-y": of(5e-06, "vertex_ai-language-models"),
            "dashscope/qwen": of(6e-06, "dashscope"),
            "qwen-other": of(7e-06, "elsewhere"),
        },
        Price(model="openai/gpt-own", input="9"),
    )

    def found(provider: str, model: str) -> tuple[Decimal | None, str]:
        it = priced(table, provider, model, Usage(1_000_000))
        return it.cost, it.source

    assert found("openai", "gpt-4o") == (Decimal(1), "litellm:gpt-4o")
    assert found("openai", "GPT-4o") == (Decimal(1), "litellm:gpt-4o")
    assert found("google", "gemini-x") == (Decimal(3), "litellm:gemini/gemini-x")
    assert found("google", "gemini-y") == (Decimal(5), "litellm:gemini-y")
    assert found("lab", "qwen") == (Decimal(6), "litellm:dashscope/qwen")
    assert found("lab", "qwen-other") == (None, "")
    assert found("openai", "gpt-own") == (Decimal(9), "override:openai/gpt-own")
    assert found("openai", "gpt-4o-mini")[1] == "genai-prices:openai/gpt-4o-mini", "the lists behind it have what it has not"
    assert table.unknown() == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"a": 1}', b'{"a": {"max_tokens": 1}}', b"[" * 100_000, b"\xff"])
def test_what_is_no_table(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any kind
        LiteLLM(text)


def test_fields_that_are_not_read_are_kept_and_told(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    entry = {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "citation_cost_per_token": 2e-06, "supports_vision": True}
    path.write_text(json.dumps({"sample_spec": {"input_cost_per_token": 0}, "m": entry}))
    table = read(path)
    assert table.entries["m"]["supports_vision"] is True
    assert table.entries.keys() == {"m"}
    assert table.unread() == {"citation_cost_per_token": 1}
