"""Entries and their sums. All names stand here as they were, whatever the program makes of them later."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXTS = (
    "tenant", "key", "dialect", "path", "model", "route", "provider", "target", "answered", "cache", "outcome", "error", "tier", "unit",
    "witness", "tried", "provider_key", "mirror_of", "cost_parts", "price_source", "price_version", "price_parts", "price_rule",
    "organization", "project", "team", "user_id", "service_account", "tags", "key_id", "end_user", "cost_centre",
)  # fmt: skip
_NUMBERS = (
    "attempts", "stream", "status", "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio",
    "output_audio", "input_image", "output_image", "saved_input", "saved_output", "partial", "estimated", "metered", "bytes_in",
    "bytes_out", "priced",
)  # fmt: skip
_SECONDS = ("duration", "first_byte", "queue", "ours", "first_token")
_DIMENSIONS = (
    "organization", "project", "team", "user_id", "service_account", "tenant", "key_id", "key", "cost_centre", "tags", "provider", "model",
    "target", "outcome", "mirror",
)  # fmt: skip
_COUNTED = (
    "requests", "errors", "partial", "estimated", "cache_hits", "unpriced", "unmetered", "input", "output", "cache_read", "cache_write",
    "reasoning", "input_audio", "output_audio", "input_image", "output_image", "saved_input", "saved_output",
)  # fmt: skip
_MEASURED = ("images", "seconds", "characters", "searches", "cost", "price")


def upgrade() -> None:
    """Makes everything."""
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _NUMBERS),
        *(sa.Column(name, sa.Double(), nullable=False) for name in _SECONDS),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("cost", sa.Numeric()),
        sa.Column("price", sa.Numeric()),
    )
    # They come about in the order of their times, so a few bytes for many pages find a month.
    op.create_index("ledger_entries_time", "ledger_entries", ["time"], postgresql_using="brin")
    op.create_index("ledger_entries_organization", "ledger_entries", ["organization", "time"])
    op.create_table(
        "ledger_groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False, unique=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _DIMENSIONS),
    )
    for name in ("organization", "team", "project", "user_id", "key_id"):
        op.create_index(f"ledger_groups_{name}", "ledger_groups", [name])
    for table in ("ledger_days", "ledger_months", "ledger_totals"):
        op.create_table(
            table,
            sa.Column("group_id", sa.BigInteger(), nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTED),
            *(sa.Column(name, sa.Numeric(), nullable=False) for name in _MEASURED),
            sa.PrimaryKeyConstraint("group_id", "day"),
        )
        op.create_index(f"{table}_day", table, ["day"])
    versions = op.create_table(
        "ledger_versions",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(versions, [{"number": 1, "oldest": 1, "applied_at": time.time_ns() // 1_000_000}])
