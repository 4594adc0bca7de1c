"""The ledger's tables, as the list of steps that lead to them. A step that has been released is never changed: add another one."""

import sqlite3

MIGRATIONS = (
    """
    CREATE TABLE entries (
        id TEXT PRIMARY KEY, time REAL NOT NULL,
        tenant TEXT NOT NULL, key TEXT NOT NULL, dialect TEXT NOT NULL, path TEXT NOT NULL, model TEXT NOT NULL, route TEXT NOT NULL,
        provider TEXT NOT NULL, target TEXT NOT NULL, answered TEXT NOT NULL, attempts INTEGER NOT NULL, stream INTEGER NOT NULL,
        cache TEXT NOT NULL, status INTEGER NOT NULL, outcome TEXT NOT NULL, error TEXT NOT NULL,
        input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,
        cache_write_1h INTEGER NOT NULL, reasoning INTEGER NOT NULL, input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL,
        saved_input INTEGER NOT NULL, saved_output INTEGER NOT NULL,
        partial INTEGER NOT NULL, estimated INTEGER NOT NULL, metered INTEGER NOT NULL,
        duration REAL NOT NULL, first_byte REAL NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, witness TEXT NOT NULL,
        priced INTEGER NOT NULL, cost TEXT, cost_parts TEXT NOT NULL, price_source TEXT NOT NULL, price_version TEXT NOT NULL
    );
    CREATE INDEX entries_time ON entries (time);
    CREATE TABLE settled (id TEXT PRIMARY KEY, seen REAL NOT NULL, witness TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX settled_seen ON settled (seen);
    CREATE TABLE sources (name TEXT PRIMARY KEY, offset INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
    CREATE TABLE pending (id TEXT PRIMARY KEY, due REAL NOT NULL, line BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX pending_due ON pending (due);
    CREATE TABLE corrupt (source TEXT NOT NULL, offset INTEGER NOT NULL, seen REAL NOT NULL, line BLOB NOT NULL);
    CREATE TABLE tallies (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE entries ADD COLUMN unit TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN amount REAL NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE entries ADD COLUMN tried TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE entries ADD COLUMN provider_key TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE entries ADD COLUMN mirror_of TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE entries ADD COLUMN input_image INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN output_image INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN tier TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN price TEXT;
    ALTER TABLE entries ADD COLUMN price_parts TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN price_rule TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE entries ADD COLUMN organization TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN project TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN team TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN service_account TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN end_user TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN tags TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN cost_centre TEXT NOT NULL DEFAULT '';
    ALTER TABLE entries ADD COLUMN queue REAL NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN ours REAL NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN first_token REAL NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
    CREATE TABLE ledger_groups (
        id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
        organization TEXT NOT NULL, project TEXT NOT NULL, team TEXT NOT NULL, user_id TEXT NOT NULL, service_account TEXT NOT NULL,
        tenant TEXT NOT NULL, key_id TEXT NOT NULL, key TEXT NOT NULL, cost_centre TEXT NOT NULL, tags TEXT NOT NULL,
        provider TEXT NOT NULL, model TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL, mirror TEXT NOT NULL
    );
    CREATE TABLE ledger_days (
        group_id INTEGER NOT NULL, day TEXT NOT NULL,
        requests INTEGER NOT NULL, errors INTEGER NOT NULL, partial INTEGER NOT NULL, estimated INTEGER NOT NULL,
        cache_hits INTEGER NOT NULL, unpriced INTEGER NOT NULL, unmetered INTEGER NOT NULL, input INTEGER NOT NULL,
        output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, reasoning INTEGER NOT NULL,
        input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL, input_image INTEGER NOT NULL, output_image INTEGER NOT NULL,
        saved_input INTEGER NOT NULL, saved_output INTEGER NOT NULL, images TEXT NOT NULL, seconds TEXT NOT NULL,
        characters TEXT NOT NULL, searches TEXT NOT NULL, cost TEXT NOT NULL, price TEXT NOT NULL,
        PRIMARY KEY (group_id, day)
    ) WITHOUT ROWID;
    CREATE INDEX ledger_days_day ON ledger_days (day);
    CREATE TABLE ledger_months (
        group_id INTEGER NOT NULL, day TEXT NOT NULL,
        requests INTEGER NOT NULL, errors INTEGER NOT NULL, partial INTEGER NOT NULL, estimated INTEGER NOT NULL,
        cache_hits INTEGER NOT NULL, unpriced INTEGER NOT NULL, unmetered INTEGER NOT NULL, input INTEGER NOT NULL,
        output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, reasoning INTEGER NOT NULL,
        input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL, input_image INTEGER NOT NULL, output_image INTEGER NOT NULL,
        saved_input INTEGER NOT NULL, saved_output INTEGER NOT NULL, images TEXT NOT NULL, seconds TEXT NOT NULL,
        characters TEXT NOT NULL, searches TEXT NOT NULL, cost TEXT NOT NULL, price TEXT NOT NULL,
        PRIMARY KEY (group_id, day)
    ) WITHOUT ROWID;
    CREATE INDEX ledger_months_day ON ledger_months (day);
    CREATE TABLE ledger_totals (
        group_id INTEGER NOT NULL, day TEXT NOT NULL,
        requests INTEGER NOT NULL, errors INTEGER NOT NULL, partial INTEGER NOT NULL, estimated INTEGER NOT NULL,
        cache_hits INTEGER NOT NULL, unpriced INTEGER NOT NULL, unmetered INTEGER NOT NULL, input INTEGER NOT NULL,
        output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, reasoning INTEGER NOT NULL,
        input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL, input_image INTEGER NOT NULL, output_image INTEGER NOT NULL,
        saved_input INTEGER NOT NULL, saved_output INTEGER NOT NULL, images TEXT NOT NULL, seconds TEXT NOT NULL,
        characters TEXT NOT NULL, searches TEXT NOT NULL, cost TEXT NOT NULL, price TEXT NOT NULL,
        PRIMARY KEY (group_id, day)
    ) WITHOUT ROWID;
    CREATE INDEX ledger_totals_day ON ledger_totals (day);
    """,
    """
    CREATE TABLE spent (number INTEGER PRIMARY KEY AUTOINCREMENT, ticket TEXT NOT NULL, at REAL NOT NULL, used BLOB NOT NULL);
    CREATE TABLE spent_sums (
        counter TEXT NOT NULL, spot TEXT NOT NULL, part INTEGER NOT NULL, counted BLOB NOT NULL, at REAL NOT NULL, ends INTEGER NOT NULL,
        amount TEXT NOT NULL, PRIMARY KEY (counter, spot, part)
    ) WITHOUT ROWID;
    CREATE INDEX spent_sums_ends ON spent_sums (ends);
    CREATE TABLE spent_by_envoy (id TEXT PRIMARY KEY, seen REAL NOT NULL, used BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE spent_source (name TEXT NOT NULL);
    INSERT INTO spent_source VALUES (lower(hex(randomblob(8))));
    """,
)
"""`entries`: one row a request that reached a provider or the cache; its `price` is null where what is charged is the `cost`. `settled`:
recent ids that need no entry. `sources`: how far each file has been read. `pending`: access log lines whose worker has not spoken.
`corrupt`: lines that nobody could read, the first of them. `ledger_days` and its like: see `aggregates.py`; `spent` and what follows it:
limits, see `spent.py`; `outbox`: see `outbox.py`."""


def migrate(db: sqlite3.Connection) -> None:
    """Bring the tables up to date. Raises RuntimeError when a newer release has written them."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise RuntimeError(f"the ledger has schema {version}, this release knows {len(MIGRATIONS)}: a newer release has written it")
    for number in range(version, len(MIGRATIONS)):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[number].split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {number + 1}")
            db.execute("COMMIT")
        except sqlite3.Error:
            # An error such as a full disk may have rolled back by itself.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
