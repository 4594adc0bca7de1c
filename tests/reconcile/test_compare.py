"""Exports made from a ledger agree with it, and any line of one that is changed is named."""

import csv
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.ledger.places import places
from extproc.ledger.record import Record
from extproc.ledger.store import Store
from extproc.reconcile import ledger
from extproc.reconcile.compare import Compared, compare
from extproc.reconcile.export import read
from extproc.reconcile.line import Line
from extproc.usage import Usage
from tests.reconcile.books import PRICES, books, record

BEGIN = date(2026, 11, 1)
MODELS = ("claude-sonnet-4-20250514", "claude-haiku-4-5-20251001", "claude-opus-4-1-20250805")
BILLED = {
    "claude-sonnet-4-20250514": "Claude4Sonnet",
    "claude-haiku-4-5-20251001": "Claude4.5Haiku",
    "claude-opus-4-1-20250805": "Claude4.1Opus",
}
Table = list[dict[str, str]]
tokens = st.integers(10**5, 10**7)


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    made = []
    for number in range(draw(st.integers(1, 6))):
        fresh, read_, write, hour, output = (draw(tokens) for _ in range(5))
        usage = Usage(input=fresh + read_ + write + hour, cache_read=read_, cache_write=write + hour, cache_write_1h=hour, output=output)
        made.append(record(str(number), "anthropic", "m", draw(st.sampled_from(MODELS)), draw(st.integers(0, 2)), usage))
    return made


def day(one: Record) -> str:
    return (BEGIN + timedelta(days=int(one.time - 1_793_491_200) // 86_400)).isoformat()


def counts(one: Record) -> dict[str, int]:
    usage = one.usage
    return {
        "input": usage.input - usage.cache_read - usage.cache_write,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write - usage.cache_write_1h,
        "cache_write_1h": usage.cache_write_1h,
        "output": usage.output,
    }


def openai_usage(made: list[Record]) -> Table:
    """As the platform exports it: input with all of its parts."""
    return [
        {
            "start_time": str(int(one.time) // 60 * 60),
            "model": one.answered,
            "input_tokens": str(one.usage.input),
            "input_cached_tokens": f"{one.usage.cache_read}.0",
            "input_cache_write_tokens": str(one.usage.cache_write),
            "output_tokens": str(one.usage.output),
        }
        for one in made
    ]


def anthropic_usage(made: list[Record]) -> Table:
    """As the Console exports it: a line a key; here, a line a request."""
    names = {
        "input": "usage_input_tokens_no_cache", "cache_read": "usage_input_tokens_cache_read", "output": "usage_output_tokens",
        "cache_write": "usage_input_tokens_cache_write_5m", "cache_write_1h": "usage_input_tokens_cache_write_1h",
    }  # fmt: skip
    return [
        {"usage_date_utc": day(one), "model_version": one.answered, **{names[kind]: str(count) for kind, count in counts(one).items()}}
        for one in made
    ]


def anthropic_costs(made: list[Record]) -> Table:
    """Rounded to a hundredth of a cent, each line."""
    names = {
        "input": "input_no_cache", "cache_read": "input_cache_read", "output": "output", "cache_write": "input_cache_write_5m",
        "cache_write_1h": "input_cache_write_1h",
    }  # fmt: skip
    return [
        {"usage_date_utc": day(one), "model": one.answered, "token_type": names[kind], "cost_usd": str(round(money, 4))}
        for one in made
        for kind, money in PRICES.price(one).parts.items()
    ]


def cur(made: list[Record]) -> Table:
    """In thousands of tokens, with what they cost to the last digit. What is kept for an hour is told with the rest."""
    lines = []
    for one in made:
        parts = PRICES.price(one).parts
        for kind, words in (("input", "input-tokens"), ("cache_read", "cache-read-input-token-count"), ("output", "output-tokens")):
            lines.append((one, words, counts(one)[kind], parts[kind]))
        both = counts(one)["cache_write"] + counts(one)["cache_write_1h"]
        lines.append((one, "cache-write-input-token-count", both, parts["cache_write"] + parts["cache_write_1h"]))
    return [
        {
            "line_item_usage_start_date": f"{day(one)}T23:00:00Z",
            "line_item_usage_type": f"EUC1-{BILLED[one.answered]}-{words}",
            "line_item_usage_amount": str(Decimal(count) / 1000),
            "line_item_unblended_cost": format(money, "f"),
            "pricing_unit": "1K tokens",
        }
        for one, words, count, money in lines
    ]


def told(made: list[Record], table: Table) -> Compared:
    with TemporaryDirectory(prefix="hg-reconcile-") as folder:
        path = Path(folder) / "export.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, table[0])
            writer.writeheader()
            writer.writerows(table)
        (export,) = read([path])
        with closing(Store(places(books(Path(folder) / "state", made)).database, read_only=True)) as store:
            days = ledger.read(store, ["anthropic"], BEGIN, BEGIN + timedelta(days=9))
        return compare(export, days, BEGIN, BEGIN + timedelta(days=9), {})


WRITERS = pytest.mark.parametrize("write", [openai_usage, anthropic_usage, anthropic_costs, cur], ids=lambda write: write.__name__)


@WRITERS
def test_what_was_exported_from_the_ledger_agrees_with_it(write: Callable[[list[Record]], Table]) -> None:
    @settings(max_examples=10)
    @given(records())
    def agrees(made: list[Record]) -> None:
        found = told(made, write(made))
        assert found.differences == () and found.keys >= 4

    agrees()


@WRITERS
def test_any_line_that_is_changed_is_named(write: Callable[[list[Record]], Table]) -> None:
    @settings(max_examples=20)
    @given(records(), st.data())
    def is_named(made: list[Record], data: st.DataObject) -> None:
        table = write(made)
        at = data.draw(st.integers(0, len(table) - 1))
        line = table[at]
        ours = ("usage_input", "usage_output", "input_tokens", "input_cache", "output_tokens", "cost_usd")
        numbers = [name for name in line if name.startswith(ours) or name.endswith(("amount", "cost"))]
        (when,) = line.keys() & {"start_time", "usage_date_utc", "line_item_usage_start_date"}
        what = data.draw(st.sampled_from(["gone", "twice", "later", *numbers]))
        match what:
            case "gone":
                # The days of the others are still compared.
                table[at] = {name: "0" if name in numbers else value for name, value in line.items()}
            case "twice":
                table.append(line)
            case "later":
                table[at] = {**line, when: "2026-11-09"}
            case _:
                # More than any rounding of the lines of a key can be.
                table[at] = {**line, what: str(Decimal(line[what]) + (1 if "tokens" in what else Decimal("0.1")))}
        differences = told(made, table).differences
        assert differences
        assert {one.day for one in differences} <= {date(2026, 11, 9), Line("", "", line).day(when)}

    is_named()


def test_money_is_compared_as_exactly_as_it_is_told() -> None:
    made = [record("1", "anthropic", "m", MODELS[0], 0, Usage(input=1, output=1))]
    table = [{"usage_date_utc": "2026-11-01", "model": MODELS[0], "token_type": "output", "cost_usd": "0.000015"}]
    more = {**table[0], "token_type": "input_no_cache", "cost_usd": "0.000003"}
    assert told(made, [*table, more]).differences == ()
    (found,) = told(made, [*table, {**more, "cost_usd": "0.000004"}]).differences
    assert (found.name, found.kind, found.theirs.money, found.ours.money) == (
        "other money",
        "input",
        Decimal("0.000004"),
        Decimal("0.000003"),
    )
    # Of cents, half a cent may be anything.
    assert told(made, [{**table[0], "cost_usd": "0.00"}, {**more, "cost_usd": "0.00"}]).differences == ()


def test_copies_for_mirrors_count_and_answers_from_the_cache_do_not() -> None:
    usage = Usage(input=1000, output=10)
    one = record("1", "anthropic", "m", MODELS[0], 0, usage)
    copy = record("2", "anthropic", "m", MODELS[0], 0, usage, mirror_of="1")
    hit = record("3", "anthropic", "m", MODELS[0], 0, usage, cache="hit")
    assert told([one, copy, hit], anthropic_usage([one, copy])).differences == ()
