"""Keys are found by when they expire."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_GIVEN = sa.text("expires_at IS NOT NULL")


def upgrade() -> None:
    """Adds an index, of which programs of before need not know."""
    op.create_index("keys_expires", "keys", ["expires_at", "id"], sqlite_where=_GIVEN, postgresql_where=_GIVEN)
    now = time.time_ns() // 1_000_000
    op.execute(f"INSERT INTO schema_versions (number, oldest, applied_at) VALUES (2, 1, {now})")  # noqa: S608 - our own number
