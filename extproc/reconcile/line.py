"""The lines of an export, whatever it is written in: a CSV file's, read one after the other, or the results in an API's JSON pages.

All values are text, as it stands there: a number that has become a float is another number.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from extproc.reconcile.row import Malformed

MOST_JSON = 256 * 2**20
"""Characters of a JSON file, which is read as a whole: an API's page has at most some thousand results."""
_LONGEST = 2**20
"""Characters of a line of CSV."""
_MOST = Decimal(10) ** 18
_GZIP = b"\x1f\x8b"
_SPACE = re.compile(r"\s*")


class Line:
    """One of them."""

    __slots__ = ("_file", "_place", "fields")

    def __init__(self, file: str, place: str, fields: Mapping[str, str]) -> None:
        """`fields`: by column, or by field; those of an object within another as `outer_inner`. What is null is empty."""
        self._file = file
        self._place = place
        self.fields = fields

    def text(self, *names: str) -> str:
        """The first of these that says something."""
        return next((value for name in names if (value := self.fields.get(name, "").strip())), "")

    def number(self, *names: str) -> Decimal | None:
        """Likewise, exact. None: there is none. Raises `Malformed` for what is no number."""
        text = self.text(*names)
        if not text:
            return None
        try:
            found = Decimal(text.replace(",", ""))
        except InvalidOperation:
            raise self.wrong(f"{text[:40]!r} is no number", *names) from None
        if not found.is_finite() or abs(found) > _MOST:
            raise self.wrong(f"{text[:40]!r} is no number that anybody pays", *names)
        return found

    def count(self, *names: str) -> Decimal:
        """A number that is 0 where there is none."""
        found = self.number(*names)
        if found is not None and found < 0:
            raise self.wrong(f"{found} is less than nothing", *names)
        return found or Decimal(0)

    def day(self, *names: str) -> date:
        """A day of UTC: of seconds since 1970, of an RFC 3339 time, or as it is. Raises `Malformed` where there is none."""
        text = self.text(*names)
        try:
            if text.replace(".", "", 1).isdecimal():
                return datetime.fromtimestamp(float(text), UTC).date()
            found = datetime.fromisoformat(text.replace(" UTC", "+00:00"))
        except (ValueError, OverflowError, OSError):
            raise self.wrong(f"{text[:40]!r} is no day", *names) from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).date()

    def wrong(self, what: str, *names: str) -> Malformed:
        """What to raise."""
        said = next((name for name in names if self.fields.get(name, "").strip()), names[0] if names else "")
        return Malformed(self._file, self._place, f"`{said}`: {what}" if said else what)


def lines(path: Path) -> Iterator[Line]:
    """What a file has, CSV or JSON, compressed by gzip or not. Raises `Malformed`, OSError."""
    try:
        with _opened(path) as file:
            begin = file.read(64).lstrip("\ufeff").lstrip()
            file.seek(0)
            yield from (_pages if begin[:1] in ("{", "[") else _rows)(path.name, file)
    except UnicodeDecodeError as error:
        raise Malformed(path.name, "", f"it is no UTF-8 ({error.reason})") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Malformed(path.name, "", f"it is damaged ({error})") from None


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    if not compressed:
        return path.open(encoding="utf-8-sig", newline="")
    return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")


def _rows(name: str, file: IO[str]) -> Iterator[Line]:
    reader = csv.reader(_bounded(name, file), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        if not columns:
            raise Malformed(name, "", "it is empty")
        if double := {column for column in columns if column and columns.count(column) > 1}:
            raise Malformed(name, "line 1", f"{min(double)!r} is the name of several columns")
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise Malformed(name, f"line {reader.line_num}", f"{len(row)} values for {len(columns)} columns")
            yield Line(name, f"line {reader.line_num}", dict(zip(columns, row, strict=True)))
    except csv.Error as error:
        raise Malformed(name, f"line {reader.line_num}", str(error)) from None


def _bounded(name: str, file: IO[str]) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        if len(line) > _LONGEST:
            raise Malformed(name, f"line {number}", "it is too long for a line")
        yield line


def _pages(name: str, file: IO[str]) -> Iterator[Line]:
    """Buckets' results, each with its bucket's times; of a bucket without results, the times alone."""
    text = file.read(MOST_JSON + 1)
    if len(text) > MOST_JSON:
        raise Malformed(name, "", f"it is larger than {MOST_JSON >> 20} Mi characters: split it at its pages")
    for number, page in enumerate(_documents(name, text), 1):
        where = f"page {number}: "
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise Malformed(name, where.rstrip(": "), "it is no page of an API's answer: it has no list `data`")
        for index, bucket in enumerate(page["data"]):
            yield from _bucket(name, f"{where}data[{index}]", bucket)


def _bucket(name: str, where: str, bucket: Any) -> Iterator[Line]:
    if not isinstance(bucket, dict):
        raise Malformed(name, where, "it is no object")
    # OpenAI's schema calls it `result`, what its API answers `results`.
    results = bucket.get("results", bucket.get("result"))
    if not isinstance(results, list):
        raise Malformed(name, where, "it has no list `results`")
    times = {key: value for key, value in bucket.items() if isinstance(value, str) and key != "object"}
    if not results:
        yield Line(name, where, times)
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            raise Malformed(name, f"{where}.results[{number}]", "it is no object")
        yield Line(name, f"{where}.results[{number}]", {**times, **dict(_flat(result))})


def _documents(name: str, text: str) -> Iterator[Any]:
    """One page, a list of them, or one after the other, as they are when each answer is appended to a file."""
    # Numbers stay as they are written.
    decoder, at = json.JSONDecoder(parse_float=str, parse_int=str), _after_space(text, 0)
    while at < len(text):
        try:
            found, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise Malformed(name, place, "it is no JSON") from None
        yield from found if isinstance(found, list) else (found,)
        at = _after_space(text, at)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}_")
        elif isinstance(value, str):
            yield f"{before}{name}", value
