"""Catalogues: checked as a whole, and one that is made of genai-prices charges what genai-prices does."""

import json
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from extproc.config.model import Provider
from extproc.errors import ConfigError
from extproc.ledger.export import export
from extproc.ledger.prices import Builtin, Lists, PriceBook
from extproc.ledger.record import Record
from extproc.ledger.sheet import MOST_BYTES, Catalogue, encode
from extproc.usage import Usage
from tests.ledger.theirs import named

DOCUMENT: dict[str, Any] = {
    "format": "headgate-catalogue/1",
    "date": "2026-11-20",
    "source": "our contract",
    "providers": {
        "lab": {
            "url": "https://lab\\.example/",
            "also": ["openai"],
            "models": [
                {
                    "id": "big",
                    "match": {"any": [{"equals": "big"}, {"all": [{"starts": "big-"}, {"ends": "-x"}]}, {"regex": "^large-\\d$"}]},
                    "context_window": 100000,
                    "prices": [
                        {"rates": {"input": "1", "output": {"base": "2", "above": [{"tokens": 1000, "price": "3"}]}}},
                        {"since": "2026-06-01", "rates": {"input": "0.5", "output": "2"}},
                        {"since": "2026-06-01", "hours": "22:00-04:00", "weekdays": [6, 7], "rates": {"input": "0.25", "output": "1"}},
                    ],
                    "services": [{"tier": "flex", "rates": {"input": "0.1"}}],
                },
                {"id": "ear", "least_seconds": 10, "prices": [{"rates": {"second": "0.01"}}]},
                {"id": "gift", "free": True, "prices": [{"rates": {}}]},
            ],
        },
        "openai": {"models": [{"id": "gpt-4o", "prices": [{"rates": {"input": "7", "output": "7"}}], "services": []}]},
    },
}
LAB = {"it": Provider(dialect="openai", base_url="https://lab.example/v1"), "openai": Provider(dialect="openai", base_url="http://x/")}


def taken(document: dict[str, Any]) -> Catalogue:
    """The document, checked."""
    return Catalogue(json.dumps(document).encode())


def priced(
    catalogue: Catalogue, model: str, usage: Usage, provider: str = "it", when: datetime = datetime(2026, 11, 2, tzinfo=UTC), **more: Any
) -> tuple[Decimal | None, str]:
    """What a usage costs by it, and whose price that is."""
    book = PriceBook(providers=LAB, lists=Lists(catalogue=catalogue))
    found = book.price(Record(id="a", time=when.timestamp(), provider=provider, target=model, usage=usage, attempts=1, **more))
    return found.cost, found.source


def test_prices_of_a_catalogue() -> None:
    catalogue, million = taken(DOCUMENT), Usage(1_000_000)
    assert priced(catalogue, "big", million) == (Decimal("0.5"), "catalogue:lab/big")
    assert priced(catalogue, "BIG-a-x", million)[0] == priced(catalogue, "large-3", million)[0] == Decimal("0.5")
    assert priced(catalogue, "big", million, when=datetime(2026, 5, 31, 23, tzinfo=UTC))[0] == 1
    assert priced(catalogue, "big", Usage(2000, 1_000_000), when=datetime(2026, 5, 1, tzinfo=UTC))[0] == Decimal("3.002")
    assert priced(catalogue, "big", million, when=datetime(2026, 11, 1, 3, tzinfo=UTC))[0] == Decimal("0.25")
    assert priced(catalogue, "big", Usage(1_000_000, tier="flex"))[0] == Decimal("0.1")
    assert priced(catalogue, "ear", Usage(), unit="seconds", amount=1)[0] == Decimal("0.1")
    assert priced(catalogue, "gift", million)[0] == 0
    assert priced(catalogue, "gpt-4o", million) == (Decimal(7), "catalogue:lab/gpt-4o")
    assert priced(catalogue, "gpt-4o", million, provider="openai") == (Decimal(7), "catalogue:openai/gpt-4o")
    assert priced(catalogue, "gpt-4o-mini", million, provider="openai")[1] == "genai-prices:openai/gpt-4o-mini"
    assert priced(catalogue, "unheard-of", million) == (None, "")
    assert catalogue.version == f"catalogue 2026-11-20 sha256:{catalogue.digest[:16]}"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("format",), "headgate-catalogue/2", "$.format"),
        (("date",), "yesterday", "$.date"),
        (("price",), 1, "unknown field `price`"),
        (("providers", "lab", "url"), "(", "$.providers.lab.url"),
        (("providers", "lab", "models", 0, "prices"), [], "$.providers[...].models[0].prices"),
        (("providers", "lab", "models", 0, "prices", 0, "rates"), {}, "$.providers.lab.models[0].prices[0].rates"),
        (("providers", "lab", "models", 0, "prices", 0, "rates", "input"), 1.5, "rates"),
        (("providers", "lab", "models", 0, "prices", 0, "rates", "input"), "-1", "rates"),
        (("providers", "lab", "models", 0, "prices", 0, "rates", "inptu"), "1", "no such kind of price"),
        (("providers", "lab", "models", 0, "prices", 2, "hours"), "22:00-22:00", "prices[2].hours"),
        (("providers", "lab", "models", 0, "prices", 2, "zone"), "Moon/Sea", "prices[2].zone"),
        (("providers", "lab", "models", 0, "match"), {"equals": "a", "starts": "b"}, "exactly one"),
        (("providers", "lab", "models", 0, "match", "any", 2, "regex"), "[", "match[2].regex"),
        (("providers", "lab", "models", 1, "id"), "Big", "is there twice"),
        (
            ("providers", "lab", "models", 0, "prices", 0, "rates", "output", "above"),
            [{"tokens": 5, "price": "1"}, {"tokens": 5, "price": "2"}],
            "more tokens than the one before",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(path: tuple[Any, ...], value: Any, told: str) -> None:
    document = deepcopy(DOCUMENT)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as caught:
        taken(document)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (MOST_BYTES + 1)])
def test_what_is_no_catalogue_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError):
        Catalogue(text)


def test_an_export_charges_what_genai_prices_does() -> None:
    sheet = export(date(2026, 11, 22))
    catalogue, builtin = Catalogue(encode(sheet)), Builtin()
    assert catalogue.sheet == sheet
    usages = [
        Usage(300_000, 5_000, 70_000, 20_000, 10_000, 400), Usage(10, 3, tier="priority"), Usage(10, 3, tier="batch"),
        Usage(900, 70, input_audio=30, output_audio=20),
    ]  # fmt: skip
    when = datetime(2026, 11, 15, 2, 30, tzinfo=UTC).timestamp()
    compared = 0
    for vendor in builtin.vendors.providers:
        for model in vendor.models[:: 1 if vendor.id in ("openai", "anthropic", "deepseek", "google") else 9]:
            ours, theirs = catalogue.find(vendor.id, model.id), builtin.find(vendor.id, model.id)
            if theirs is None or theirs.tariff(when) is None:
                assert ours is None or ours.free
                continue
            assert ours is not None
            assert ours.source == theirs.source.replace("genai-prices:", "catalogue:")
            for usage in usages:
                mine, wanted = ours.tariff(when, usage.tier), theirs.tariff(when, usage.tier)
                assert mine == wanted, (vendor.id, model.id, usage)
                compared += 1
    assert compared > 1000


def test_a_day_in_a_name_may_be_written_without_dashes() -> None:
    catalogue = Catalogue(encode(export(date(2026, 11, 22), frozenset({"openrouter", "openai"}))))
    found = catalogue.find("openai", "gpt-5-mini-20250807")
    assert found is not None
    assert found.source == "catalogue:openai/gpt-5-mini"
    assert named(Usage(1)) == {"input_tokens": 1}
