"""The made-up ledger is one that reports can be asked of, at a size that a test has time for."""

import contextlib

from bench.ledger import REPORTS, Size, ask, fill, ship
from extproc.ledger.central import VERSIONS, Central
from extproc.ledger.reports import usage
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


def test_a_small_year(postgres: PostgresServer) -> None:
    url = postgres.url(postgres.create())
    with contextlib.closing(Central(url)) as central:
        VERSIONS.migrate(central.database)
        fill(central, Size(entries=1000, keys=20, each=3))
        for wanted in REPORTS[:4]:
            assert sum(row.requests for row in usage(central, wanted)) == 20 * 3 * 3 * 365
        timed = ask(central, REPORTS[0], 1)
        assert timed.rows == 365 and any("ledger_totals" in line for line in timed.plan)
        assert central.rows("SELECT count(*) FROM ledger_entries", {})[0][0] == 1000
        assert min(ship(url, 20)) > 0
