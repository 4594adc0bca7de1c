"""How long a year's report takes in PostgreSQL, and what it costs to send an entry there. `python -m bench.ledger`

A ledger is made up: ten million entries, and the sums of a hundred million, of a year in which a thousand keys of two hundred teams used
three models each every day. Then reports are asked for, as the API and the command line do, and the plan of each is printed. PostgreSQL
runs with its own settings but for 512 MB of shared buffers; each report is timed some times, and the median counts. It takes some minutes
and 10 GB of disk, which are free again afterwards.
"""

# ruff: noqa: S608, ISC004 - SQL of ours, from names of ours
import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg
from msgspec import Struct
from sqlalchemy import text

from extproc.identity.record import Owner
from extproc.ledger.aggregates import DIMENSIONS
from extproc.ledger.central import VERSIONS, Central
from extproc.ledger.places import places
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.ledger.reports import Wanted, query_of, usage
from extproc.ledger.shipper import Shipper
from extproc.ledger.store import Store
from extproc.ledger.sums import COUNTED, MEASURED
from extproc.usage import Usage
from tests.postgres import PostgresServer

YEAR = (date(2026, 1, 1), date(2027, 1, 1))
MOST = 1.0
"""Seconds that a year's report may take."""
REPORTS = (
    Wanted(by=("day",), since=YEAR[0], until=YEAR[1]),
    Wanted(by=("model",), since=YEAR[0], until=YEAR[1]),
    Wanted(by=("team",), since=YEAR[0], until=YEAR[1]),
    Wanted(by=("key",), since=YEAR[0], until=YEAR[1]),
    Wanted(by=("month", "organization", "model"), since=YEAR[0], until=YEAR[1]),
    Wanted(by=("model",), since=date(2026, 1, 15), until=date(2026, 12, 20)),
    Wanted(by=("day", "model"), since=YEAR[0], until=YEAR[1], where={"organization": "org_7"}),
    Wanted(by=("day", "key"), since=YEAR[0], until=YEAR[1], where={"team": "team_7"}),
)
_ZERO = dict.fromkeys((*COUNTED, *MEASURED), "0")
_SUMS = _ZERO | {
    "requests": "{each}", "input": "{each} * (500 + g.id % 97)", "output": "{each} * (100 + g.id % 31)",
    "cost": "{each} * (0.000123 + 0.0000007 * (g.id % 89))", "price": "{each} * (0.000130 + 0.0000009 * (g.id % 89))",
}  # fmt: skip


class Size(Struct, frozen=True):
    """How much there is."""

    entries: int = 10_000_000
    keys: int = 1000
    each: int = 91
    """Requests of a key to each of three models on one day: with a thousand keys, a hundred million in a year."""


class Timed(NamedTuple):
    """A report."""

    wanted: Wanted
    seconds: float
    rows: int
    plan: Sequence[str]


def fill(central: Central, size: Size) -> None:
    """Makes everything up."""
    names = ", ".join(DIMENSIONS)
    groups = {
        "organization": "'org_' || k % 50", "team": "'team_' || k % 200", "user_id": "'user_' || k % 500", "tenant": "'key-' || k",
        "key_id": "'key_' || k", "key": "'key-' || k", "cost_centre": "(k % 20)::text", "provider": "'provider-' || (k + m) % 3",
        "model": "'model-' || (k + m) % 10", "target": "'model-' || (k + m) % 10", "outcome": "'complete'",
    }  # fmt: skip
    named = ", ".join(f"{groups.get(name, chr(39) * 2)} AS {name}" for name in DIMENSIONS)
    digest = f"encode(sha256(convert_to({' || chr(31) || '.join(DIMENSIONS)}, 'UTF8')), 'hex')"
    bare = ", ".join(name if name in {"organization", "provider", "model", "outcome", "mirror"} else f"'' AS {name}" for name in DIMENSIONS)
    sums = ", ".join(_SUMS)
    added = ", ".join(f"sum({name})" for name in _SUMS)
    each = ", ".join(how.format(each=size.each) for how in _SUMS.values())
    statements = (
        f"INSERT INTO ledger_groups (digest, {names}) SELECT {digest}, {names} "
        f"FROM (SELECT {named} FROM generate_series(0, {size.keys - 1}) k, generate_series(0, 2) m) made",
        f"INSERT INTO ledger_days (group_id, day, {sums}) SELECT g.id, day::date, {each} "
        f"FROM generate_series(timestamp '{YEAR[0]}', timestamp '{YEAR[1]}' - interval '1 day', '1 day') day, ledger_groups g",
        f"INSERT INTO ledger_months (group_id, day, {sums}) SELECT group_id, date_trunc('month', day)::date, {added} FROM ledger_days "
        "GROUP BY 1, 2",
        f"INSERT INTO ledger_groups (digest, {names}) SELECT {digest}, {names} FROM (SELECT DISTINCT {bare} FROM ledger_groups) made",
        f"INSERT INTO ledger_totals (group_id, day, {sums}) SELECT t.id, d.day, {added.replace('sum(', 'sum(d.')} FROM ledger_days d "
        "JOIN ledger_groups g ON g.id = d.group_id JOIN ledger_groups t ON t.key_id = '' AND t.organization = g.organization "
        "AND t.provider = g.provider AND t.model = g.model GROUP BY 1, 2",
        "DROP INDEX ledger_entries_organization",
        "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey",
        _entries(central, size),
        "ALTER TABLE ledger_entries ADD PRIMARY KEY (id)",
        "CREATE INDEX ledger_entries_organization ON ledger_entries (organization, time)",
    )
    for statement in statements:
        with central.database.write() as connection:
            connection.execute(text(statement))
    with central.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _entries(central: Central, size: Size) -> str:
    """One in so many requests of the year."""
    special = {
        "id": "gen_random_uuid()::text", "organization": "'org_' || n % 50", "team": "'team_' || n % 200", "key": "'key-' || n % 1000",
        "time": f"timestamptz '{YEAR[0]} UTC' + n * (interval '365 days' / {size.entries})", "model": "'model-' || n % 10",
        "status": "200", "outcome": "'complete'", "input": "500", "output": "100", "cost": "0.000123", "priced": "1", "price": "NULL",
    }  # fmt: skip
    columns = central.rows(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'ledger_entries' ORDER BY ordinal_position", {}
    )
    values = ", ".join(special.get(name, "''" if kind == "text" else "0") for name, kind in columns)
    return f"INSERT INTO ledger_entries SELECT {values} FROM generate_series(0, {size.entries - 1}) n"


def ask(central: Central, wanted: Wanted, times: int) -> Timed:
    """Times a report."""
    took, rows = [], usage(central, wanted)
    for _ in range(times):
        began = time.perf_counter()
        rows = usage(central, wanted)
        took.append(time.perf_counter() - began)
    query, values = query_of(central.dialect, wanted)
    plan = [line for (line,) in central.rows(f"EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF) {query}", values)]
    return Timed(wanted, median(took), len(rows), plan)


def ship(url: str, count: int) -> tuple[float, float]:
    """Microseconds that an entry takes on its way to PostgreSQL, and those of them that it costs the gateway's processor."""
    with tempfile.TemporaryDirectory() as folder, closing(Store(places(Path(folder)).database)) as store:
        with store.transaction():
            store.add([(_record(number), Priced()) for number in range(count)], 0)
        with closing(Shipper(Path(folder), url, keep=36_500)) as shipper:
            began, busy = time.perf_counter(), time.thread_time()
            while shipper.ship():
                pass
            return 1e6 * (time.perf_counter() - began) / count, 1e6 * (time.thread_time() - busy) / count


def _record(number: int) -> Record:
    return Record(
        id=f"shipped-{number}", time=1_800_000_000.0 + number, owner=Owner("org_1", team=f"team_{number % 200}"),
        key=f"key-{number % 1000}", provider="provider-1", model="model-1", target="model-1", attempts=1, status=200, usage=Usage(500, 100),
    )  # fmt: skip


def main() -> int:
    """Prints all of it; 1: a report takes too long."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ledger", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=Size().entries, help="(default: %(default)s)")
    parser.add_argument("--keys", type=int, default=Size().keys, help="(default: %(default)s)")
    given = parser.parse_args()
    size = Size(given.entries, given.keys)
    with tempfile.TemporaryDirectory(prefix="hg-ledger-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            with psycopg.connect(server.url(), autocommit=True) as connection:
                for name, value in (("shared_buffers", "512MB"), ("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"),
                                    ("autovacuum", "on"), ("max_wal_size", "8GB")):  # fmt: skip
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            server.stop()
            server.resume()
            return _measure(server.url(), size)
        finally:
            server.stop()


def _measure(url: str, size: Size) -> int:
    with closing(Central(url)) as central:
        VERSIONS.migrate(central.database)
        began = time.perf_counter()
        fill(central, size)
        days = central.rows("SELECT count(*), sum(requests) FROM ledger_days", {})[0]
        held = central.rows("SELECT pg_size_pretty(pg_database_size(current_database()))", {})[0][0]
        print(f"{size.entries:,} entries, and {days[0]:,} rows of sums of {days[1]:,} in days; {held}, made in "
              f"{time.perf_counter() - began:.0f} s\n")  # fmt: skip
        slow = 0
        for wanted in REPORTS:
            timed = ask(central, wanted, 5)
            where = "".join(f", {name} {value}" for name, value in wanted.where.items())
            print(f"by {', '.join(wanted.by)}{where}, {wanted.since} to {wanted.until}: {1000 * timed.seconds:.0f} ms, {timed.rows:,} rows")
            print("".join(f"    {line}\n" for line in timed.plan))
            slow += timed.seconds > MOST
        whole, busy = ship(url, 20_000)
        print(f"sent: {whole:.0f} us for each entry, of which {busy:.0f} us of the gateway's processor")
        return int(slow > 0)


if __name__ == "__main__":
    raise SystemExit(main())
