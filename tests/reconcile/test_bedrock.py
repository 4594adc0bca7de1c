"""What AWS sells, by its usage types."""

from decimal import Decimal

import pytest

from extproc.reconcile import bedrock
from extproc.reconcile.line import Line
from extproc.reconcile.row import Row

DAY = "2026-11-01T10:00:00Z"


def rows(usage: str, **more: str) -> list[Row]:
    fields = {
        "line_item_usage_type": usage,
        "line_item_usage_start_date": DAY,
        "line_item_usage_amount": "2",
        "line_item_unblended_cost": "0.5",
    }
    return list(bedrock.report(Line("cur.csv", "line 2", {**fields, **more})))


@pytest.mark.parametrize(
    ("usage", "model", "kind"),
    [
        ("USE1-Claude4.6Sonnet-input-tokens", "Claude4.6Sonnet", "input"),
        ("USE1-Claude4.6Sonnet-cache-read-input-token-count", "Claude4.6Sonnet", "cache_read"),
        ("USW2-Claude4.6Sonnet-cache-write-input-token-count-cross-region-global", "Claude4.6Sonnet", "cache_write"),
        ("USE1-Claude4.6Sonnet-output-tokens-cross-region-global", "Claude4.6Sonnet", "output"),
        ("USE1-Nova2.0Lite-output-tokens-cross-region-global-batch", "Nova2.0Lite", "output"),
        ("EUC1-Nova2.0Lite-input-tokens-flex", "Nova2.0Lite", "input"),
        ("USE1-openai.gpt-oss-120b-mantle-input-tokens-standard", "openai.gpt-oss-120b", "input"),
        ("APNE1-claude-sonnet-4-input-tokens", "claude-sonnet-4", "input"),
    ],
)
def test_tokens(usage: str, model: str, kind: str) -> None:
    (row,) = rows(usage, pricing_unit="1K tokens")
    assert (row.model, row.kind, row.quantity, row.unit, row.money) == (model, kind, Decimal(2), 1000, Decimal("0.5"))


@pytest.mark.parametrize(
    ("unit", "description", "size"),
    [
        ("1K tokens", "", 1000),
        ("1M tokens", "", 10**6),
        ("Units", "$0.003 per 1,000 input tokens", 1000),
        ("", "Million Input Tokens", 10**6),
        ("", "", 1),
    ],
)
def test_what_is_counted(unit: str, description: str, size: int) -> None:
    (row,) = rows("USE1-Claude4Opus-input-tokens", pricing_unit=unit, line_item_line_item_description=description)
    assert row.unit == size


def test_what_the_marketplace_sells() -> None:
    (row,) = rows(
        "USE1-MP:USE1_InputTokenCount-Units", product_product_name="Claude 3.5 Sonnet (Amazon Bedrock Edition)", pricing_unit="Units"
    )
    assert (row.model, row.kind) == ("Claude 3.5 Sonnet", "input")
    (row,) = rows("MP:USE1_CacheReadInputTokenCount-Units", product_product_name="Claude 3.5 Sonnet (Amazon Bedrock Edition)")
    assert (row.model, row.kind) == ("Claude 3.5 Sonnet", "cache_read")


def test_what_is_no_token() -> None:
    assert rows("USE1-BoxUsage:m5.large", line_item_product_code="AmazonEC2") == []
    assert rows("USE1-Claude4Opus-input-tokens", line_item_line_item_type="Tax") == []
    (row,) = rows("USE1-GuardrailsTextUnit", line_item_product_code="AmazonBedrock")
    assert (row.model, row.kind, row.quantity, row.money) == ("USE1-GuardrailsTextUnit", "", None, Decimal("0.5"))
