"""Invoices add up to the cent, and FOCUS has the columns and values that its specification wants."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.config.model import Price
from extproc.identity.record import Owner
from extproc.ledger import focus, invoice
from extproc.ledger.prices import PriceBook, Priced
from extproc.ledger.reports import LocalBooks, Wanted, usage
from extproc.ledger.store import Store
from extproc.usage import Usage
from tests.examples import examples
from tests.ledger.test_aggregates import enter, record

OCTOBER = date(2026, 10, 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Store(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3")) as made:
        yield made


@pytest.fixture
def store(shared: Store) -> Store:
    for table in ("entries", "ledger_days", "ledger_months", "ledger_totals"):
        shared.db.execute(f"DELETE FROM {table}")
    return shared


def fill(store: Store) -> LocalBooks:
    prices = PriceBook((Price(model="p/m", input="0.333333333", output="0.1"),))
    enter(
        store,
        record("a", day=2, owner=Owner("org_a", "proj_1", "team_1"), key="ann", key_id="key_1", cost_centre="4711"),
        record("b", day=3, owner=Owner("org_a", "proj_1", "team_1"), key="ann", key_id="key_1", cost_centre="4711"),
        record("c", day=4, owner=Owner("org_a", "", "team_2", "user_1"), key="=bob", key_id="key_2", tags={"stage": "live"}),
        record("d", day=32.9, owner=Owner("org_a", "", "team_2"), key="bob", target="q", model="q"),
        record("e", day=33, owner=Owner("org_a"), key="bob"),
        record("f", day=10, usage=Usage(input=5_000_000)),
        record("g", day=10, mirror_of="f"),
        prices=prices,
    )
    return LocalBooks(store)


def test_an_invoice_for_each_organization(store: Store) -> None:
    nobody, acme = invoice.invoices(fill(store), OCTOBER)
    assert (nobody.organization, nobody.exact, nobody.total) == ("", "1.666666665", "1.67")
    assert [(line.key, line.model, line.requests, line.unpriced) for line in acme.lines] == [
        ("bob", "q", 1, 1), ("=bob", "m", 1, 0), ("ann", "m", 2, 0),
    ]  # fmt: skip
    assert (acme.exact, acme.total, acme.unpriced) == ("0.00001029999999", "0.00", 1)
    assert invoice.invoices(LocalBooks(store), OCTOBER, "org_a") == [acme]
    assert invoice.invoices(LocalBooks(store), date(2026, 12, 1)) == []
    shown = invoice.text(acme)
    assert "Invoice of org_a, 2026-10 (UTC)" in shown and "0+?" in shown and "to the cent: $0.00" in shown
    (_, first, *_) = csv.DictReader(io.StringIO(invoice.csv([acme])))
    assert (first["month"], first["organization"], first["key"]) == ("2026-10", "org_a", "'=bob")


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(prices=st.lists(st.decimals(0, 1000, places=11), min_size=1, max_size=30))
def test_lines_add_up_to_the_cent(shared: Store, prices: list[Decimal]) -> None:
    for table in ("entries", "ledger_days", "ledger_months", "ledger_totals"):
        shared.db.execute(f"DELETE FROM {table}")
    with shared.transaction():
        shared.add([(record(f"r{at}", day=at / 2, key=f"k{at % 4}"), Priced(cost=price)) for at, price in enumerate(prices)], 0)
    made = [one for month in (date(2026, 9, 1), OCTOBER) for one in invoice.invoices(LocalBooks(shared), month)]
    exact = sum((Decimal(one.exact) for one in made), Decimal(0))
    assert exact == sum(prices)
    for one in made:
        assert sum(Decimal(line.amount) for line in one.lines) == Decimal(one.exact)
        assert abs(Decimal(one.exact) - Decimal(one.total)) <= Decimal("0.005")
        assert re.fullmatch(r"\d+\.\d\d", one.total)


@pytest.mark.parametrize(("amount", "total"), [("0.005", "0.00"), ("0.015", "0.02"), ("0.0050000000001", "0.01"), ("2", "2.00")])
def test_half_a_cent_goes_to_the_even_one(store: Store, amount: str, total: str) -> None:
    with store.transaction():
        store.add([(record("a", day=5), Priced(cost=Decimal(amount)))], 0)
    (made,) = invoice.invoices(LocalBooks(store), OCTOBER)
    assert made.total == total


def test_months() -> None:
    assert invoice.month_of("2026-02") == date(2026, 2, 1)
    with pytest.raises(ValueError, match="no month"):
        invoice.month_of("2026-13")


MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "ServiceCategory", "ServiceName",
)  # fmt: skip
"""Columns whose feature level is "Mandatory" in FOCUS 1.2."""
NULLABLE = {"BillingAccountName", "ChargeClass", "SubAccountId", "SubAccountName", "SubAccountType"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00Z")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def test_focus(store: Store) -> None:
    rows = usage(fill(store), Wanted(by=focus.BY))
    table = list(csv.DictReader(io.StringIO(focus.csv(rows, "Acme IT", {"org_a": "Acme", "team_2": "-red"}))))
    assert len(table) == 6
    assert set(MANDATORY) <= set(focus.COLUMNS)
    for row in table:
        assert tuple(row) == focus.COLUMNS
        for column, value in row.items():
            assert value or column in NULLABLE or column.startswith("x_"), column
            if column.endswith(("Start", "End")):
                assert MOMENT.fullmatch(value), column
            if column.endswith(("Cost", "Quantity", "Requests", "Tokens")):
                assert NUMBER.fullmatch(value), column
        assert row["ServiceCategory"] == "AI and Machine Learning"
        assert (row["ChargeCategory"], row["ChargeFrequency"], row["BillingCurrency"]) == ("Usage", "Usage-Based", "USD")
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    assert sum(Decimal(row["BilledCost"]) for row in table) == sum(row.price for row in rows)
    bob = next(row for row in table if row["x_UserId"] == "user_1")
    assert (bob["BillingAccountName"], bob["SubAccountName"], bob["Tags"]) == ("Acme", "'-red", '{"stage":"live"}')
    assert bob["x_KeyName"] == "'=bob"


def test_focus_of_what_is_not_counted_in_tokens(store: Store) -> None:
    with store.transaction():
        store.add([
            (record("a", usage=Usage(), unit="seconds", amount=1.25), Priced(cost=Decimal("0.1"), price=Decimal("0.2"))),
            (record("b", usage=Usage(), target="n"), Priced()),
        ], 0)  # fmt: skip
    first, second = focus.charges(usage(LocalBooks(store), Wanted(by=focus.BY)), "us")
    assert (first["PricingQuantity"], first["PricingUnit"], first["ListCost"], first["BilledCost"]) == ("1.25", "Seconds", "0.1", "0.2")
    assert (second["ConsumedQuantity"], second["ConsumedUnit"]) == ("1", "Requests")
    assert (second["SubAccountId"], second["BillingAccountId"], second["Tags"]) == ("", "unassigned", "{}")


def test_of_an_old_ledger(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "ledger.sqlite3")) as store:
        assert invoice.invoices(LocalBooks(store), OCTOBER) == []
