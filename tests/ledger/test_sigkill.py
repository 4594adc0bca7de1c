"""Workers and the collector are killed again and again; what a worker had written is in the ledger, once."""

import subprocess
import sys
from pathlib import Path

ROUNDS = 20

HARNESS = """
import os, random, signal, sqlite3, sys, time
from decimal import Decimal
from pathlib import Path

from extproc.config.model import Price
from extproc.ledger.collector import Collector
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.usage import Usage

state, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
prices = PriceBook((Price(model="p/*", input="1", output="1"),))


def write(name, told):
    journal = Journal(places(state).journal, name, segment_bytes=4000)
    number = 0
    while True:
        id = f"{name}-{number}"
        journal.append(Record(id=id, time=1.0, provider="p", target="m", usage=Usage(input=1)))
        os.write(told, f"{id}\\n".encode())
        number += 1
        time.sleep(0.0002)


def collect():
    collector = Collector(state, prices, limit=50)
    while True:
        collector.collect()


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            run(*arguments)
        finally:
            os._exit(1)
    return pid


Collector(state, prices).close()
reader, told = os.pipe()
os.set_blocking(reader, False)
acknowledged = set()
rest = b""
for turn in range(rounds):
    pids = [child(write, f"w{turn}.{number}", told) for number in range(2)] + [child(collect)]
    dice.shuffle(pids)
    for pid in pids:
        time.sleep(dice.uniform(0.003, 0.04))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    *ids, rest = (rest + os.read(reader, 1 << 20)).split(b"\\n")
    acknowledged.update(id.decode() for id in ids)

early = sqlite3.connect(places(state).database).execute("SELECT count(*) FROM entries").fetchone()[0]
collector = Collector(state, prices)
while collector.collect().more:
    pass
rows = collector.store.db.execute("SELECT id, input FROM entries").fetchall()
ids = {id for id, _ in rows}
assert acknowledged <= ids, sorted(acknowledged - ids)[:5]
assert len(ids - acknowledged) <= 2 * rounds, "more than the ones that were being written"
assert len(ids) == len(rows) and all(count == 1 for _, count in rows)
assert collector.store.corrupt() <= 2 * rounds
assert list(places(state).journal.iterdir()) == []
assert 0 < early <= len(rows), (early, len(rows))
print(len(rows))
"""


def test_nothing_is_lost_and_nothing_counts_twice(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HARNESS, str(tmp_path), str(ROUNDS), "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > ROUNDS
