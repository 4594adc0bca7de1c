"""Organizations, projects, teams, users, memberships, service accounts, plans, keys; audit; what has changed."""

# ruff: noqa: S608 - all names and numbers are ours
import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The same as `database.WRITERS` and `changes.REMEMBERED`, in this version for ever.
_WRITERS = 0x6867_0001
_REMEMBERED = 131_072
_LIVE = "deleted_at IS NULL"
_FOLLOWED = {
    "organizations": "organization",
    "projects": "project",
    "teams": "team",
    "users": "user",
    "memberships": "membership",
    "service_accounts": "service_account",
    "plans": "plan",
}
"""By table: the kind that is told of a change."""


def upgrade() -> None:
    """Makes everything."""
    _make_levels()
    _make_keys()
    _make_records()
    if op.get_bind().dialect.name == "sqlite":
        _make_sqlite_triggers()
    else:
        _make_postgresql_triggers()
    # A last change for those to come to be counted from.
    op.execute("INSERT INTO changes (kind, entity_id) VALUES ('start', '')")
    now = time.time_ns() // 1_000_000
    op.execute(f"INSERT INTO schema_versions (number, oldest, applied_at) VALUES (1, 1, {now})")


def _text(name: str, *more: sa.ForeignKey, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), *more, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _reference(name: str, table: str, *, null: bool = False) -> sa.Column[str]:
    return _text(name, sa.ForeignKey(f"{table}.id"), null=null)


def _entity() -> tuple[sa.Column[str] | sa.Column[int] | sa.Constraint, ...]:
    history = (_number("created_at"), _number("updated_at"), _number("deleted_at", null=True), _number("version"))
    return (_text("id"), *history, sa.PrimaryKeyConstraint("id"))


def _level() -> tuple[sa.Column[str] | sa.Column[int], ...]:
    return (_text("settings", null=True), _number("disabled_at", null=True), _reference("plan_id", "plans", null=True))


def _index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    condition = sa.text(where) if where is not None else None
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition, postgresql_where=condition)


def _make_levels() -> None:
    op.create_table("plans", *_entity(), _text("name"), _text("limits", null=True))
    _index("plans_name", "plans", "name", where=_LIVE, unique=True)
    op.create_table("organizations", *_entity(), *_level(), _text("name"), sa.UniqueConstraint("name"))
    for table in ("projects", "teams", "service_accounts"):
        op.create_table(table, *_entity(), *_level(), _reference("organization_id", "organizations"), _text("name"))
        _index(f"{table}_name", table, "organization_id", "name", where=_LIVE, unique=True)
    op.create_table(
        "users", *_entity(), *_level(), _text("email", null=True), _text("name"), _text("issuer", null=True), _text("subject", null=True),
        sa.CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="users_subject_whole"),
    )  # fmt: skip
    _index("users_email", "users", "email", where=_LIVE, unique=True)
    _index("users_subject", "users", "issuer", "subject", where=_LIVE, unique=True)
    op.create_table(
        "memberships", *_entity(), *_level(), _reference("organization_id", "organizations"), _reference("team_id", "teams", null=True),
        _reference("user_id", "users"), _text("role"),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="memberships_role"),
    )  # fmt: skip
    whole = f"{_LIVE} AND team_id IS NULL"
    _index("memberships_of_organization", "memberships", "organization_id", "user_id", where=whole, unique=True)
    _index("memberships_of_team", "memberships", "team_id", "user_id", where=_LIVE, unique=True)
    _index("memberships_of_user", "memberships", "user_id")


def _make_keys() -> None:
    holders = {"project": "projects", "team": "teams", "user": "users", "service_account": "service_accounts"}
    op.create_table(
        "keys", *_entity(), *_level(), _reference("organization_id", "organizations"),
        *(_reference(f"{name}_id", table, null=True) for name, table in holders.items()),
        _text("name"), _text("tenant", null=True), _text("prefix", null=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False), _number("expires_at", null=True), _number("rotated_at", null=True),
        sa.Column("previous_digest", sa.LargeBinary(), nullable=True), _number("previous_until", null=True),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("organization_id", "name", name="keys_name"),
        sa.CheckConstraint("project_id IS NULL OR team_id IS NULL", name="keys_of_one_group"),
        sa.CheckConstraint("user_id IS NULL OR service_account_id IS NULL", name="keys_of_one_holder"),
        sa.CheckConstraint("(previous_digest IS NULL) = (previous_until IS NULL)", name="keys_previous_whole"),
    )  # fmt: skip
    _index("keys_of_organization", "keys", "organization_id", "id")
    for name in (*holders, "plan"):
        _index(f"keys_of_{name}", "keys", f"{name}_id", "id", where=f"{name}_id IS NOT NULL")
    _index("keys_prefix", "keys", "prefix", where="prefix IS NOT NULL")
    _index("keys_previous", "keys", "previous_digest", where="previous_digest IS NOT NULL", unique=True)


def _make_records() -> None:
    op.create_table(
        "audit", _text("id"), _number("at"), _text("actor"), _text("request_id", null=True), _text("organization_id", null=True),
        _text("kind"), _text("entity_id"), _text("action"), _text("before", null=True), _text("after", null=True),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    _index("audit_of_organization", "audit", "organization_id", "id")
    _index("audit_of_entity", "audit", "entity_id", "id")
    op.create_table(
        "idempotency", _text("actor"), _text("key"), sa.Column("request", sa.LargeBinary(), nullable=False), _number("status"),
        sa.Column("body", sa.LargeBinary(), nullable=False), _number("expires_at"), sa.PrimaryKeyConstraint("actor", "key"),
    )  # fmt: skip
    _index("idempotency_expires", "idempotency", "expires_at")
    op.create_table(
        "schema_versions", sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False), _number("oldest"),
        _number("applied_at"), sa.PrimaryKeyConstraint("number"),
    )  # fmt: skip
    sqlite = op.get_bind().dialect.name == "sqlite"
    mark = "(randomblob(8))" if sqlite else "substring(uuid_send(gen_random_uuid()) from 1 for 8)"
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=True), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False, server_default=sa.text(mark)),
        _text("kind"), _text("entity_id"), sa.Column("digest", sa.LargeBinary(), nullable=True), sa.PrimaryKeyConstraint("number"),
    )  # fmt: skip


def _make_sqlite_triggers() -> None:
    for table, kind in _FOLLOWED.items():
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table} "
                f"BEGIN INSERT INTO changes (kind, entity_id) VALUES ('{kind}', {row}.id); END"
            )
    told = "INSERT INTO changes (kind, entity_id, digest) SELECT 'key', {0}.id, {0}.{1} WHERE {0}.{1} IS NOT NULL AND {2};"
    new, before = told.format("NEW", "digest", "1"), told.format("NEW", "previous_digest", "1")
    gone = told.format("OLD", "digest", "OLD.digest NOT IN (NEW.digest, ifnull(NEW.previous_digest, x''))")
    over = told.format("OLD", "previous_digest", "OLD.previous_digest NOT IN (NEW.digest, ifnull(NEW.previous_digest, x''))")
    all_gone = told.format("OLD", "digest", "1") + told.format("OLD", "previous_digest", "1")
    op.execute(f"CREATE TRIGGER keys_insert AFTER INSERT ON keys BEGIN {new} {before} END")
    op.execute(f"CREATE TRIGGER keys_update AFTER UPDATE ON keys BEGIN {new} {before} {gone} {over} END")
    op.execute(f"CREATE TRIGGER keys_delete AFTER DELETE ON keys BEGIN {all_gone} END")
    op.execute(
        f"CREATE TRIGGER changes_forgotten AFTER INSERT ON changes BEGIN DELETE FROM changes WHERE number < NEW.number - {_REMEMBERED}; END"
    )


# What follows a statement, however many rows it is about. Whoever has set `headgate.bulk` sees to the changes himself.
_FOLLOW = """
CREATE FUNCTION headgate_follow_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('headgate.bulk', true), '') <> 'on' THEN
    INSERT INTO changes (kind, entity_id, digest) {select};
  END IF;
  RETURN NULL;
END $$"""
_FOLLOWER = (
    "CREATE TRIGGER {table}_{event} AFTER {event} ON {table} {referencing} FOR EACH STATEMENT EXECUTE FUNCTION headgate_follow_{name}()"
)
_REFERENCING = {
    "insert": "REFERENCING NEW TABLE AS found",
    "update": "REFERENCING NEW TABLE AS found OLD TABLE AS lost",
    "delete": "REFERENCING OLD TABLE AS found",
}
_DIGESTS = """SELECT 'key', id, digest FROM found
    UNION SELECT 'key', id, previous_digest FROM found WHERE previous_digest IS NOT NULL"""
_MORE_DIGESTS = """ UNION SELECT 'key', id, digest FROM lost
    UNION SELECT 'key', id, previous_digest FROM lost WHERE previous_digest IS NOT NULL"""


def _make_postgresql_triggers() -> None:
    # Numbers are drawn by one transaction at a time: so the order of numbers is that of commits, and nobody who has read up to one
    # misses what is committed later under a smaller one.
    op.execute(f"""
        CREATE FUNCTION headgate_number() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock({_WRITERS}); RETURN NULL; END $$""")
    op.execute("CREATE TRIGGER changes_number BEFORE INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION headgate_number()")
    op.execute(f"""
        CREATE FUNCTION headgate_tell() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          DELETE FROM changes WHERE number < (SELECT max(number) FROM changes) - {_REMEMBERED};
          PERFORM pg_notify('headgate_changes', '');
          RETURN NULL;
        END $$""")
    op.execute("CREATE TRIGGER changes_told AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION headgate_tell()")
    for table, kind in _FOLLOWED.items():
        _follow(table, kind, f"SELECT '{kind}', id, NULL::bytea FROM found", ("insert", "update", "delete"))
    _follow("keys", "key", _DIGESTS, ("insert", "delete"))
    _follow("keys", "key_changes", _DIGESTS + _MORE_DIGESTS, ("update",))


def _follow(table: str, name: str, select: str, events: tuple[str, ...]) -> None:
    op.execute(_FOLLOW.format(name=name, select=select))
    for event in events:
        op.execute(_FOLLOWER.format(table=table, event=event, referencing=_REFERENCING[event], name=name))
