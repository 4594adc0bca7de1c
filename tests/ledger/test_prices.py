"""Money: the same as genai-prices on the same usage, to the last digit; own prices first; unknown is never zero."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.config.catalogue import catalogue
from extproc.config.model import Price, Provider
from extproc.errors import ConfigError
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.usage import Usage
from tests.examples import examples

RECORDINGS = Path(__file__).parent.parent / "recordings"
NOVEMBER_2026 = datetime(2026, 11, 1, tzinfo=UTC)
OPENAI = Provider(dialect="openai", base_url="https://api.openai.com/v1")
ANTHROPIC = Provider(dialect="anthropic", base_url="https://api.anthropic.com")
PROVIDERS = {
    "one": OPENAI,
    "two": ANTHROPIC,
    "inside": Provider(dialect="openai", base_url="http://models.internal:8000/v1"),
    "groq": Provider(dialect="openai", base_url="http://proxy.internal/groq"),
    "demo": Provider(dialect="openai", base_url="demo:"),
}


BOOK = PriceBook(providers=PROVIDERS)


def record(provider: str, model: str, usage: Usage | None = None, **more: object) -> Record:
    """A served request."""
    values = {"id": "a", "time": NOVEMBER_2026.timestamp(), "provider": provider, "target": model, "attempts": 1, **more}
    return msgspec.structs.replace(msgspec.convert(values, Record), usage=Usage(input=1000, output=100) if usage is None else usage)


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every recorded answer that tells its usage, with the provider."""
    for provider in ("openai", "anthropic"):
        for path in sorted((RECORDINGS / provider).glob("*.json")):
            for exchange in json.loads(path.read_text()):
                url, response = exchange["request"]["url"], exchange["response"]
                if not url.startswith(f"https://api.{provider}.com"):
                    continue
                for answer in answers(response):
                    if isinstance(answer.get("usage"), dict) and answer.get("model"):
                        yield provider, answer


def answers(node: Any) -> Iterator[dict[str, Any]]:
    """Whatever in a recorded response looks like an answer, in the events of a stream as well."""
    if isinstance(node, dict):
        if "usage" in node and "model" in node:
            yield node
        for value in node.values():
            yield from answers(value)
    elif isinstance(node, list):
        for value in node:
            yield from answers(value)
    elif isinstance(node, str) and '"usage"' in node:
        for part in (line.removeprefix("data: ") for line in node.splitlines()):
            if part.startswith("{"):
                try:
                    yield from answers(json.loads(part))
                except ValueError:
                    continue


def usage_of(provider: str, told: dict[str, Any]) -> Usage:
    """The usage in our terms, as the dialects read it."""
    if provider == "anthropic":
        read, write = told.get("cache_read_input_tokens") or 0, told.get("cache_creation_input_tokens") or 0
        hour = (told.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
        return Usage(told["input_tokens"] + read + write, told["output_tokens"], read, write, hour)
    inputs = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
    outputs = told.get("completion_tokens_details") or told.get("output_tokens_details") or {}
    return Usage(
        input=told.get("prompt_tokens", told.get("input_tokens")) or 0,
        output=told.get("completion_tokens", told.get("output_tokens")) or 0,
        cache_read=inputs.get("cached_tokens") or 0,
        reasoning=outputs.get("reasoning_tokens") or 0,
        input_audio=inputs.get("audio_tokens") or 0,
        output_audio=outputs.get("audio_tokens") or 0,
    )


def flavor(provider: str, told: dict[str, Any]) -> str:
    """genai-prices' name of the API."""
    if provider == "anthropic":
        return "default"
    return "chat" if "prompt_tokens" in told else "responses"


def test_recordings_cost_what_genai_prices_says() -> None:
    import genai_prices  # noqa: PLC0415 - slow, and only these two want it

    book = PriceBook((), PROVIDERS)
    compared = 0
    for provider, answer in recorded():
        usage = usage_of(provider, answer["usage"])
        ours = book.price(record("one" if provider == "openai" else "two", "unknown", usage, answered=answer["model"]))
        try:
            found = genai_prices.extract_usage(answer, provider_id=provider, api_flavor=flavor(provider, answer["usage"]))
            # What is bought by the piece, such as searches, is not in our usage.
            for key in [key for key in vars(found.usage) if not key.endswith("_tokens")]:
                setattr(found.usage, key, None)
            theirs = found.calc_price(genai_request_timestamp=NOVEMBER_2026)
        except (LookupError, ValueError):
            assert ours.cost is None
            continue
        assert ours.cost == theirs.total_price
        assert sum(ours.parts.values()) == theirs.total_price
        compared += ours.cost > 0
    assert compared >= 80


@given(
    model=st.sampled_from(
        ["claude-sonnet-4-5-20250929", "claude-opus-4-20250514", "gpt-4o", "gpt-5-mini", "gpt-realtime", "o3", "gpt-5.5"]
    ),
    parts=st.lists(st.integers(0, 300_000), min_size=5, max_size=5),
    reasoning=st.integers(0, 1000),
)
@settings(max_examples=examples(150), deadline=None)
def test_any_usage_costs_what_genai_prices_says(model: str, parts: list[int], reasoning: int) -> None:
    import genai_prices  # noqa: PLC0415 - slow, and only these two want it

    fresh, read, write, hour, output = parts
    usage = Usage(fresh + read + write + hour, output + reasoning, read, write + hour, hour, reasoning)
    provider = "two" if model.startswith("claude") else "one"
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=read,
            cache_write_tokens=write + hour,
            cache_write_1h_tokens=hour,
            output_reasoning_tokens=reasoning,
        ),
        model,
        provider_api_url=PROVIDERS[provider].base_url,
        genai_request_timestamp=NOVEMBER_2026,
    )
    ours = PriceBook((), PROVIDERS).price(record(provider, model, usage))
    assert ours.cost == theirs.total_price
    assert ours.source == f"genai-prices:{theirs.provider.id}/{theirs.model.id}"


def test_audio_has_its_own_price() -> None:
    book = PriceBook((), PROVIDERS)
    text = book.price(record("one", "gpt-realtime", Usage(input=1000, output=100, cache_read=100))).cost
    audio = book.price(record("one", "gpt-realtime", Usage(input=1000, output=100, cache_read=100, input_audio=500, output_audio=50))).cost
    mixed = book.price(record("one", "gpt-realtime", Usage(input=1000, output=100, cache_read=800, input_audio=500))).cost
    assert text is not None and audio is not None and mixed is not None
    assert audio > text
    assert mixed > 0


def test_who_answered_decides() -> None:
    book = PriceBook((), PROVIDERS)

    def source(provider: str, model: str, answered: str = "") -> str:
        return book.price(record(provider, model, answered=answered)).source

    assert source("one", "gpt-4o") == "genai-prices:openai/gpt-4o"
    assert source("one", "gpt-4o", answered="gpt-4o-mini-2024-07-18") == "genai-prices:openai/gpt-4o-mini"
    assert source("one", "gpt-4o", answered="something-new") == "genai-prices:openai/gpt-4o"
    assert source("inside", "gpt-4o") == "genai-prices:openai/gpt-4o"
    assert source("groq", "llama-3.3-70b-versatile").startswith("genai-prices:groq/")
    assert source("gone", "claude-sonnet-4-5") == "genai-prices:anthropic/claude-sonnet-4-5"


@pytest.mark.parametrize(("provider", "model"), [("inside", "my-model"), ("one", "llama-3.3-70b-versatile"), ("one", "tts-1"), ("one", "")])
def test_what_has_no_price_is_unpriced(provider: str, model: str) -> None:
    assert PriceBook((), PROVIDERS).price(record(provider, model)).cost is None


def test_contradictory_counts_are_unpriced() -> None:
    book = PriceBook((Price(model="inside/*", input="1", output="1"),), PROVIDERS)
    assert book.price(record("one", "gpt-4o", Usage(input=10, output=1, cache_read=11))).cost is None
    assert book.price(record("inside", "x", Usage(input=10, output=1, cache_read=11))).cost is None
    assert book.price(record("one", "gpt-4o", time=1e300)).cost is None


def test_zero_is_a_price_of_its_own_kind() -> None:
    book = PriceBook((), PROVIDERS)
    zero = Decimal(0)
    demo, hit = book.price(record("demo", "demo-1")), book.price(record("one", "gpt-4o", cache="hit"))
    assert (demo.cost, demo.source) == (zero, "demo")
    assert (hit.cost, hit.source) == (zero, "cache")
    failed = book.price(record("inside", "my-model", Usage(), outcome="error", status=503))
    assert (failed.cost, failed.source) == (zero, "nothing")
    assert book.price(record("inside", "my-model", Usage(), outcome="provider_broke")).cost is None
    unmetered = book.price(record("one", "gpt-4o", Usage(), metered=False))
    assert (unmetered.cost, unmetered.source) == (None, "unmetered")


def test_prices_are_those_of_the_request_s_day() -> None:
    book = PriceBook((), {"x": Provider(dialect="openai", base_url="https://api.openai.com")})
    early = book.price(record("x", "o3", time=datetime(2025, 5, 1, tzinfo=UTC).timestamp())).cost
    late = book.price(record("x", "o3", time=datetime(2025, 7, 1, tzinfo=UTC).timestamp())).cost
    assert early is not None and late is not None
    assert early > late


def test_whose_prices_they_are_can_be_said() -> None:
    vertex = Provider(dialect="anthropic", base_url="https://us-east5-aiplatform.googleapis.com/v1/x", prices="anthropic")
    nobody = Provider(dialect="openai", base_url="https://api.openai.com/v1", prices="nobody")
    book = PriceBook((), {"x": vertex, "y": nobody})
    assert book.price(record("x", "claude-sonnet-4-5")).source == "genai-prices:anthropic/claude-sonnet-4-5"
    assert book.price(record("y", "gpt-4o")).cost is None


def test_own_prices_come_first_and_the_nearest_wins() -> None:
    book = PriceBook(
        (
            Price(model="one/*", input="100", output="100"),
            Price(model="one/gpt-*", input="2", output="3", cache_read="0.5", cache_write="2.5"),
            Price(model="one/gpt-4o", input="0.1", output="0.2"),
        ),
        PROVIDERS,
    )
    assert book.price(record("one", "gpt-4o")).cost == Decimal("0.00012")
    assert book.price(record("one", "gpt-4o-mini", Usage(1000, 100, 300, 200))).cost == Decimal("0.00195")
    assert book.price(record("one", "else")).cost == Decimal("0.11")
    assert book.price(record("one", "x", answered="gpt-4o")).source == "override:one/gpt-4o"
    assert book.price(record("two", "claude-sonnet-4-5")).source.startswith("genai-prices:")


@given(
    prices=st.lists(st.decimals(0, 10**9, places=12), min_size=4, max_size=4),
    counts=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
)
@settings(deadline=None)
def test_own_prices_are_exact(prices: list[Decimal], counts: list[int]) -> None:
    price = Price(model="p/m", input=str(prices[0]), output=str(prices[1]), cache_read=str(prices[2]), cache_write=str(prices[3]))
    fresh, output, read, write = counts
    priced = PriceBook((price,)).price(record("p", "m", Usage(fresh + read + write, output, read, write)))
    assert priced.cost is not None
    wanted = sum(Fraction(rate) * count for rate, count in zip(prices, counts, strict=True)) / 1_000_000
    assert Fraction(priced.cost) == wanted == sum(Fraction(part) for part in priced.parts.values())


@pytest.mark.parametrize(
    ("price", "path"),
    [
        (Price(model="gpt-4o", input="1", output="1"), "$.prices[0].model"),
        (Price(model="a/b", input="a dime", output="1"), "$.prices[0].input"),
        (Price(model="a/b", input="1", output="-1"), "$.prices[0].output"),
        (Price(model="a/b", input="1", output="1", cache_read="inf"), "$.prices[0].cache_read"),
    ],
)
def test_what_is_no_price_is_named(price: Price, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PriceBook((price,))
    assert caught.value.path == path


def test_the_price_list_is_loaded_when_needed_and_no_sooner() -> None:
    program = (
        "import sys; from extproc.ledger.prices import PriceBook; PriceBook(); import extproc.ledger.collector;"
        "sys.exit('genai_prices' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pricing_is_quick() -> None:
    book = PriceBook((), PROVIDERS)
    book.price(record("one", "gpt-4o"))
    began = time.perf_counter()
    for _ in range(500):
        book.price(record("one", "gpt-4o"))
    assert (time.perf_counter() - began) / 500 < 0.005


def test_a_price_for_the_demo_provider_counts() -> None:
    book = PriceBook((Price(model="demo/*", input="1", output="2"),), PROVIDERS)
    assert book.price(record("demo", "demo-1", Usage(input=1_000_000, output=1_000_000))).cost == Decimal(3)
    assert PriceBook((), PROVIDERS).price(record("demo", "gpt-4o", Usage(input=1_000_000))).cost == Decimal(0)


def test_lists_that_there_are_not() -> None:
    """Told before anything is unpriced."""
    named = {name: Provider(dialect="openai", base_url="http://h/v1", prices=name) for name in ("openai", "aws", "opnai", "nobody")}
    near, far = PriceBook(providers={**PROVIDERS, **named}).unknown()
    assert near.startswith("$.providers.opnai.prices: its requests will be unpriced")
    assert near.endswith('did you mean "openai"?')
    assert far.startswith("$.providers.nobody.prices:")


@pytest.mark.parametrize("name", [name for name, known in catalogue().items() if known.prices])
def test_lists_of_the_catalogue(name: str) -> None:
    known = Provider(dialect="openai", base_url="http://h/v1", prices=catalogue()[name].prices)
    assert PriceBook(providers={name: known}).unknown() == []


@given(st.sampled_from(["gpt-4o", "gpt-5", "o3", "gpt-4.1-mini"]), st.integers(0, 10**6), st.integers(0, 10**5))
@settings(max_examples=30)
def test_what_is_quoted_beforehand_is_what_is_charged(model: str, given_: int, made: int) -> None:
    quoted = BOOK.quote("one", model, NOVEMBER_2026.timestamp())
    assert quoted is not None
    charged = BOOK.price(record("one", model, Usage(input=given_, output=made))).cost
    assert given_ + made == 0 or quoted.cost(given_, made) == charged


def test_quotes_of_long_prompts_own_prices_and_nothing() -> None:
    long = BOOK.quote("two", "claude-sonnet-4-5", NOVEMBER_2026.timestamp())
    assert long is not None
    assert long.cost(300_000, 0) == BOOK.price(record("two", "claude-sonnet-4-5", Usage(input=300_000))).cost
    own = PriceBook([Price(model="one/gpt-*", input="1", output="2.5")], PROVIDERS)
    quoted = own.quote("one", "gpt-4o", 0.0)
    assert quoted is not None and quoted.cost(1_000_000, 2) == Decimal("1.000005")
    assert own.quote("inside", "nobody-knows", 0.0) is None
    assert own.quote("one", "whisper-1", 0.0) is None
    free = own.quote("demo", "anything", 0.0)
    assert free is not None and free.cost(5, 5) == 0
