"""`headgate usage`, as people and programs read it."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from extproc.config.model import Price
from extproc.identity.record import Owner
from extproc.ledger.collector import Collector
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.ledger.usage_report import moment, usage
from extproc.usage import Usage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RED, BLUE = "team_0000000000000000000a", "team_0000000000000000000b"
PRICES = PriceBook((Price(model="p/*", input="1", output="3.3"),))


def write(state: Path) -> None:
    """Four requests, of which one is unpriced, one broke off and one came from the cache."""
    journal = Journal(places(state).journal, "w")
    common = {"time": NOW.timestamp(), "key": "ann", "model": "m", "target": "m", "provider": "p", "attempts": 1}
    journal.append(Record(id="a", usage=Usage(input=1_234_567, output=10), **common))  # type: ignore[arg-type]
    journal.append(Record(id="b", usage=Usage(input=10, output=1), outcome="client_closed", partial=True, **common))  # type: ignore[arg-type]
    journal.append(Record(id="c", usage=Usage(input=10, output=1), cache="hit", **{**common, "attempts": 0}))  # type: ignore[arg-type]
    journal.append(Record(id="d", usage=Usage(input=5, output=1), **{**common, "key": "=bob\x1b[31m", "model": "x", "provider": "q"}))  # type: ignore[arg-type]
    journal.close()


TABLE = """\
key        model  requests  errors  partial  cache hits  unpriced      input  output     cost $
-------------------------------------------------------------------------------------------------
=bob?[31m  x             1       0        0           0         1          5       1  0.0000000+?
ann        m             3       0        1           1         0  1,234,577      11  1.2346133
-------------------------------------------------------------------------------------------------
total                    4       0        1           1         1  1,234,582      12  1.2346133+?
+?  1 request without a price are not in the cost: give their models one under `prices`
    1 request broke off: counted with what was seen until then
    1 request came from the cache and cost nothing; saved 11 tokens
"""


def test_a_table_for_people(tmp_path: Path) -> None:
    write(tmp_path)
    assert usage(tmp_path, prices=PRICES) == TABLE


def test_people_read_names(tmp_path: Path) -> None:
    journal = Journal(places(tmp_path).journal, "w")
    for at, team in enumerate((RED, BLUE)):
        owner = Owner("org_00000000000000000001", team=team)
        journal.append(Record(id=str(at), time=NOW.timestamp(), provider="p", target="m", attempts=1, owner=owner))
    journal.close()
    asked: list[set[str]] = []

    def names(ids: set[str]) -> dict[str, str]:
        asked.append(ids)
        return {RED: "red"}

    lines = usage(tmp_path, ["team"], prices=PRICES, names=names).splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == [f"red ({RED})", BLUE]
    assert asked == [{RED, BLUE}]
    assert [row["team"] for row in json.loads(usage(tmp_path, ["team"], form="json", names=names))["rows"]] == [RED, BLUE]
    assert len(asked) == 1


def test_copies_for_mirrors_are_named_and_not_counted(tmp_path: Path) -> None:
    write(tmp_path)
    journal = Journal(places(tmp_path).journal, "w")
    journal.append(Record(id="e", time=NOW.timestamp(), provider="p", target="m", attempts=1, mirror_of="a", usage=Usage(input=1000)))
    journal.close()
    assert usage(tmp_path, prices=PRICES) == TABLE + "    1 request that mirrors were asked beside that: --mirrors\n"
    assert "1,000" in usage(tmp_path, ["provider"], mirrors=True)


def test_json_and_csv_for_programs(tmp_path: Path) -> None:
    write(tmp_path)
    document = json.loads(usage(tmp_path, ["provider", "day"], form="json", since=moment("30d", NOW), prices=PRICES))
    assert document["since"] == "2026-10-22T12:00:00Z"
    assert [(row["provider"], row["day"], row["requests"], row["cost"]) for row in document["rows"]] == [
        ("p", "2026-11-21", 3, "1.2346133"),
        ("q", "2026-11-21", 1, "0"),
    ]
    assert (document["total"]["cost"], document["total"]["unpriced"], document["total"]["saved_input"]) == ("1.2346133", 1, 10)
    rows = list(csv.DictReader(io.StringIO(usage(tmp_path, ["key"], form="csv"))))
    assert [row["key"] for row in rows] == ["'=bob\x1b[31m", "ann"]
    assert rows[1]["cost"] == "1.2346133"


def test_the_total_alone(tmp_path: Path) -> None:
    write(tmp_path)
    header, _, total, *notes = usage(tmp_path, [], prices=PRICES).splitlines()
    assert header.split()[0] == "requests"
    assert total.split()[0] == "4"
    assert len(notes) == 3


def test_while_the_gateway_runs_it_only_reads(tmp_path: Path) -> None:
    collector = Collector(tmp_path, PRICES)
    write(tmp_path)
    assert usage(tmp_path, prices=PRICES) == "no usage recorded\n"
    collector.collect()
    assert usage(tmp_path, prices=PRICES) == TABLE
    collector.close()


def test_before_the_first_request(tmp_path: Path) -> None:
    assert usage(tmp_path / "none") == "no usage recorded\n"
    assert usage(tmp_path / "none", prices=PRICES) == "no usage recorded\n"
    assert not (tmp_path / "none").exists()
    assert json.loads(usage(tmp_path, form="json"))["rows"] == []


def test_an_unknown_group(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match="cannot group by colour"):
        usage(tmp_path, ["colour"], prices=PRICES)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("now", "2026-11-21T12:00:00+00:00"),
        ("30m", "2026-11-21T11:30:00+00:00"),
        ("24h", "2026-11-20T12:00:00+00:00"),
        ("2w", "2026-11-07T12:00:00+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T10:00:00+02:00", "2026-11-01T10:00:00+02:00"),
    ],
)
def test_moments(text: str, iso: str) -> None:
    assert moment(text, NOW).isoformat() == iso


def test_no_moment() -> None:
    with pytest.raises(ValueError, match="`soon` is no time; write"):
        moment("soon", NOW)
