"""Workers, the collector and the shipper are killed a hundred times; what a worker wrote is in both ledgers, once, and in the sums."""

import contextlib
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from extproc.ledger.central import Central

ROUNDS = 25
"""In each, two workers are killed, a collector and a shipper."""

HARNESS = """
import os, random, signal, sqlite3, sys, time
from datetime import date
from pathlib import Path

from extproc.config.model import Price
from extproc.identity.record import Owner
from extproc.ledger.central import Central
from extproc.ledger.collector import Collector
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.ledger.report import report
from extproc.ledger.reports import LocalBooks, Wanted, usage
from extproc.ledger.shipper import Shipper
from extproc.usage import Usage
import psycopg, sqlalchemy.dialects.postgresql.psycopg

state, rounds, seed, url = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
dice = random.Random(seed)
prices = PriceBook((Price(model="p/*", input="1", output="1"),))


def write(name, told):
    journal = Journal(places(state).journal, name, segment_bytes=4000)
    number = 0
    while True:
        id = f"{name}-{number}"
        owner = Owner("org", team=f"t{number % 3}")
        who = {"provider": "p", "target": "m", "model": "m", "owner": owner}
        journal.append(Record(id=id, time=1e6 * (number % 4), status=200, usage=Usage(input=number), **who))
        os.write(told, f"{id}\\n".encode())
        number += 1
        time.sleep(0.001)


def collect():
    collector = Collector(state, prices, limit=50)
    while True:
        collector.collect()


def ship():
    shipper = Shipper(state, url, keep=1e6, batch=20)
    while True:
        if not shipper.ship():
            time.sleep(0.002)


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            run(*arguments)
        finally:
            os._exit(1)
    return pid


Collector(state, prices).close()
Shipper(state, url, keep=1e6).close()
reader, told = os.pipe()
os.set_blocking(reader, False)
acknowledged = set()
rest = b""
for turn in range(rounds):
    pids = [child(write, f"w{turn}.{number}", told) for number in range(2)] + [child(collect), child(ship)]
    dice.shuffle(pids)
    for pid in pids:
        time.sleep(dice.uniform(0.003, 0.09))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "it had ended by itself"
    *ids, rest = (rest + os.read(reader, 1 << 20)).split(b"\\n")
    acknowledged.update(id.decode() for id in ids)
    if turn % 10 == 9:
        # Nobody may have lived long enough for one batch: so on a busy machine, too, something is there before the end.
        calm = Collector(state, prices, limit=50)
        calm.collect()
        calm.close()
        sender = Shipper(state, url, keep=1e6, batch=20)
        sender.ship()
        sender.close()

central = Central(url)
early = sqlite3.connect(places(state).database).execute("SELECT count(*) FROM entries").fetchone()[0]
(sent,) = central.rows("SELECT count(*) FROM ledger_entries", {})[0]
collector = Collector(state, prices)
while collector.collect().more:
    pass
shipper = Shipper(state, url, keep=1e6)
while shipper.ship():
    pass
rows = collector.store.db.execute("SELECT id FROM entries").fetchall()
ids = {id for id, in rows}
assert acknowledged <= ids, sorted(acknowledged - ids)[:5]
assert len(ids - acknowledged) <= 2 * rounds, "more than the ones that were being written"
assert len(ids) == len(rows)
assert collector.store.corrupt() <= 2 * rounds
assert list(places(state).journal.iterdir()) == []
assert 0 < early <= len(rows) and 0 < sent <= len(rows), (early, sent, len(rows))
there = [id for id, in central.rows("SELECT id FROM ledger_entries", {})]
assert sorted(there) == sorted(ids), (len(there), len(ids))
for by in ((), ("day", "team"), ("month", "organization", "model")):
    told = {tuple(row.group.values()): (row.requests, row.input, row.cost) for row in report(collector.store, by)}
    for books in (LocalBooks(collector.store), central):
        assert {tuple(row.group.values()): (row.requests, row.input, row.cost) for row in usage(books, Wanted(by=by))} == told
print(len(rows))
"""


def test_nothing_is_lost_and_nothing_counts_twice(tmp_path: Path, ledger_url: str, central: Central) -> None:
    command = [sys.executable, "-W", "ignore", "-c", HARNESS, str(tmp_path), str(ROUNDS), "1", ledger_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > ROUNDS
    with contextlib.closing(Central(ledger_url)) as made, made.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger_entries")).scalar_one() == int(done.stdout)
