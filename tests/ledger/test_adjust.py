"""Margins and discounts: exact, the first rule that fits, and the provider's cost is kept beside them."""

import contextlib
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.config.model import Price, Provider
from extproc.config.pricing import Adjustment
from extproc.errors import ConfigError
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.ledger.report import report
from extproc.ledger.schema import MIGRATIONS
from extproc.ledger.store import Store
from extproc.ledger.usage_report import usage
from extproc.usage import Usage

OWN = (Price(model="p/*", input="1", output="2"),)
RULES = (
    Adjustment(tenant="acme*", models="p/large*", factor="0.9"),
    Adjustment(tenant="acme*", factor="1.25", plus="0.001"),
    Adjustment(models="fast", factor="3"),
)
BOOK = PriceBook(OWN, {"p": Provider(dialect="openai", base_url="http://p/v1")}, adjust=RULES)
NOW = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


def record(**more: object) -> Record:
    """A served request."""
    values = {
        "id": "a",
        "time": NOW,
        "tenant": "acme",
        "provider": "p",
        "target": "m",
        "attempts": 1,
        "usage": {"input": 1_000_000, "output": 500_000},
    }
    return msgspec.convert({**values, **more}, Record)


def test_the_first_rule_that_fits_counts() -> None:
    charged = BOOK.price(record())
    assert (charged.cost, charged.price, charged.rule) == (Decimal(2), Decimal("2.501"), "adjust[1]")
    assert charged.price_parts == {"input": Decimal("1.25"), "output": Decimal("1.25"), "plus": Decimal("0.001")}
    assert BOOK.price(record(target="large-1")).price == BOOK.price(record(target="x", answered="large-2")).price == Decimal("1.8")
    assert BOOK.price(record(tenant="other", route="fast")).price == 6
    as_it_is = BOOK.price(record(tenant="other"))
    assert (as_it_is.cost, as_it_is.price, as_it_is.rule) == (Decimal(2), None, "")


def test_what_nobody_is_charged_for() -> None:
    copy = BOOK.price(record(mirror_of="b"))
    assert (copy.cost, copy.price, copy.rule) == (Decimal(2), Decimal(0), "mirror")
    hit, failed = BOOK.price(record(cache="hit")), BOOK.price(record(outcome="error", status=500, usage={}))
    assert (hit.cost, hit.price, failed.cost, failed.price) == (Decimal(0), None, Decimal(0), None)
    unpriced = BOOK.price(record(provider="nobody", target="unheard-of"))
    assert (unpriced.cost, unpriced.price) == (None, None)


@given(st.decimals(0, 1000, places=12), st.decimals(0, 1000, places=12), st.integers(0, 2**40), st.integers(0, 2**40))
def test_charges_are_exact(factor: Decimal, plus: Decimal, given_: int, made: int) -> None:
    book = PriceBook(OWN, adjust=[Adjustment(factor=format(factor, "f"), plus=format(plus, "f"))])
    charged = book.price(record(usage={"input": given_, "output": made}))
    assert charged.cost is not None
    assert charged.price is not None
    assert Fraction(charged.price) == Fraction(charged.cost) * Fraction(factor) + Fraction(plus)
    assert sum(map(Fraction, charged.price_parts.values())) == Fraction(charged.price)


@pytest.mark.parametrize("rule", [Adjustment(factor="a fifth"), Adjustment(factor="-1"), Adjustment(plus="1e9")])
def test_what_is_no_adjustment(rule: Adjustment) -> None:
    with pytest.raises(ConfigError) as caught:
        PriceBook(adjust=[rule])
    assert caught.value.path.startswith("$.pricing.adjust[0].")


def test_the_ledger_keeps_both_and_reports_show_both(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.sqlite3")
    with store.transaction():
        for number, one in enumerate((record(), record(tenant="other"), record(tenant="other", mirror_of="x"))):
            one.id = str(number)
            one.usage = msgspec.structs.replace(one.usage, tier="flex", output_image=7)
            store.add([(one, BOOK.price(one))], NOW)
    rows = {row.group["tenant"]: row for row in report(store, ["tenant", "tier"])}
    assert (rows["acme"].cost, rows["acme"].price, rows["acme"].group["tier"]) == (Decimal(2), Decimal("2.501"), "flex")
    assert (rows["other"].cost, rows["other"].price, rows["other"].output_image) == (Decimal(2), Decimal(2), 7)
    (copies,) = report(store, mirrors=True)
    assert (copies.cost, copies.price) == (Decimal(2), Decimal(0))
    (told,) = store.db.execute("SELECT price_parts FROM entries WHERE id = '0'").fetchone()
    assert msgspec.json.decode(told) == {"input": "1.25", "output": "1.25", "plus": "0.001"}
    store.close()
    table = usage(tmp_path, ["tenant"])
    assert "charged $" in table
    assert "2.501" in table
    assert '"price":"4.501"' in usage(tmp_path, ["tenant"], form="json").replace(" ", "").replace("\n", "")


def test_a_ledger_of_an_earlier_release_is_read_and_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for step in MIGRATIONS[:5]:
            db.executescript(step)
        db.execute("PRAGMA user_version = 5")
        columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('entries')")]
        values = {"id": "a", "time": NOW, "cost": "0.5", "priced": 1, "cost_parts": "{}"}
        db.execute(f"INSERT INTO entries VALUES ({','.join('?' * len(columns))})", [values.get(name, 0) for name in columns])
        db.execute("UPDATE entries SET cache = '', mirror_of = '', outcome = 'complete'")
    for read_only in (True, False):
        store = Store(path, read_only=read_only)
        (row,) = report(store, ["tier", "team"])
        assert (row.group, row.cost, row.price) == ({"tier": "", "team": ""}, Decimal("0.5"), Decimal("0.5"))
        store.close()


def test_services_that_answers_name_are_priced() -> None:
    book = PriceBook(
        (Price(model="p/*", input="4"), Price(model="p/*", input="1", tier="flex"), Price(model="p/*", input="2", since="2026-11-02"))
    )

    def cost(when: float, tier: str) -> Decimal | None:
        return book.price(Record(id="a", time=when, provider="p", target="m", usage=Usage(1_000_000, tier=tier))).cost

    assert [cost(NOW - 1, ""), cost(NOW, ""), cost(NOW, "flex"), cost(NOW, "priority")] == [4, 2, 1, 2]
    with pytest.raises(ConfigError, match="needs a price without"):
        PriceBook((Price(model="p/*", input="1", tier="flex"),))
