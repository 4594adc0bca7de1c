"""Files that cannot be read: they say where, and what is wrong."""

import gzip
from pathlib import Path

import pytest

from extproc.reconcile.export import read
from extproc.reconcile.row import Malformed

USAGE = "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens\n"
PAGE = '{"data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [%s]}]}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "export: it is empty"),
        ("a,b\n1,2\n", "export: it is no export that is known here"),
        (USAGE, "export: it is no export that is known here"),
        (USAGE + "2026-11-01,m,1\n", "export: line 2: 3 values for 4 columns"),
        (USAGE + "2026-11-01,m,1,1\n2026-11-01,m,many,1\n", "export: line 3: `usage_input_tokens_no_cache`: 'many' is no number"),
        (USAGE + "2026-11-01,m,-1,1\n", "export: line 2: `usage_input_tokens_no_cache`: -1 is less than nothing"),
        (USAGE + "2026-11-01,m,1e30,1\n", "'1e30' is no number that anybody pays"),
        (USAGE + "yesterday,m,1,1\n", "export: line 2: `usage_date_utc`: 'yesterday' is no day"),
        ("a,a\n", "export: line 1: 'a' is the name of several columns"),
        (USAGE + '2026-11-01,"m,1,1\n', "export: line 2: unexpected end of data"),
        (USAGE + "2026-11-01,m" + "m" * 2**20 + ",1,1\n", "export: line 2: it is too long for a line"),
        ("{", "export: line 1, column 2: it is no JSON"),
        ("[1]", "export: page 1: it is no page of an API's answer: it has no list `data`"),
        ('{"data": [1]}', "export: page 1: data[0]: it is no object"),
        ('{"data": [{}]}', "export: page 1: data[0]: it has no list `results`"),
        (PAGE % "7", "export: page 1: data[0].results[0]: it is no object"),
        (PAGE % '{"uncached_input_tokens": "x"}', "page 1: data[0].results[0]: `uncached_input_tokens`: 'x' is no number"),
        (
            PAGE % '{"amount": "1", "currency": "EUR"}',
            "page 1: data[0].results[0]: `currency`: it is EUR, and the ledger counts US dollars",
        ),
        ("start_time,input_tokens,input_cached_tokens\n1793491200,1,2\n", "line 2: `input_tokens`: it is less than what of it was cached"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "export").write_text(text)
    with pytest.raises(Malformed) as error:
        read([tmp_path / "export"])
    assert said in str(error.value)


@pytest.mark.parametrize("text", [b"\xff\xfe\xff", b'{"data": "\xff"}'])
def test_what_is_no_text(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(text)
    with pytest.raises(Malformed, match="no UTF-8"):
        read([tmp_path / "export"])


def test_pages_that_were_put_into_one_file(tmp_path: Path) -> None:
    page = PAGE % '{"uncached_input_tokens": 3, "output_tokens": 1, "model": "m"}'
    empty = PAGE % ""
    for text in (f"{empty}\n{page}\n{page}\n", f"[{empty}, {page}, {page}]", f"\ufeff {page}{page}"):
        (tmp_path / "export").write_text(text)
        (export,) = read([tmp_path / "export"])
        assert {kind: total.quantity for (_, _, kind), total in export.sums.items()} == {"input": 6, "output": 2}


def test_a_large_file_is_read_line_by_line(tmp_path: Path) -> None:
    with (tmp_path / "export").open("w") as file:
        file.write(USAGE)
        file.writelines(f"2026-11-0{1 + number % 3},m,1,2\n" for number in range(30_000))
    (export,) = read([tmp_path / "export"])
    assert len(export.sums) == 6 and sum(total.quantity for total in export.sums.values()) == 90_000


def test_a_file_that_was_compressed(tmp_path: Path) -> None:
    whole = gzip.compress((USAGE + "2026-11-01,m,1,2\n" * 1000).encode())
    (tmp_path / "export.csv.gz").write_bytes(whole)
    (export,) = read([tmp_path / "export.csv.gz"])
    assert sum(total.quantity for total in export.sums.values()) == 3000
    for damaged in (whole[:-20], whole[:30] + b"damage" + whole[36:]):
        (tmp_path / "export.csv.gz").write_bytes(damaged)
        with pytest.raises(Malformed, match="damaged"):
            read([tmp_path / "export.csv.gz"])


def test_a_file_that_does_not_tell_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "export").write_text(PAGE % "")
    (export,) = read([tmp_path / "export"], "anthropic-usage")
    assert export.sums == {} and export.first == export.last
