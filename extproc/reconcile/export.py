"""A provider's export, added up: recognized by what is in it, whatever the file is called."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

from msgspec import Struct

from extproc.exact import EXACT
from extproc.reconcile import anthropic, bedrock, openai
from extproc.reconcile.line import Line, lines
from extproc.reconcile.row import Malformed, Row

_CENT_HALF = Decimal("0.005")
_DIGITS = 15
"""So many are exact in a double, which APIs write money as."""
_DOUBLE = Decimal("1e-12")


class Format(Struct, frozen=True):
    """Something that a provider exports."""

    name: str
    vendor: str
    is_it: Callable[[frozenset[str]], bool]
    """By the names of a line's fields."""
    rows: Callable[[Line], Iterator[Row]]
    kinds: tuple[str, ...]
    """That it tells apart."""
    counts: bool
    """Whether it tells quantities."""
    charges: bool
    """Whether it tells money."""


FORMATS = (
    Format("openai-costs", "openai", openai.is_costs, openai.costs, openai.COST_KINDS, counts=False, charges=True),
    Format("anthropic-usage", "anthropic", anthropic.is_usage, anthropic.usage, anthropic.KINDS, counts=True, charges=False),
    Format("anthropic-costs", "anthropic", anthropic.is_costs, anthropic.costs, anthropic.KINDS, counts=False, charges=True),
    Format("aws-cur", "bedrock", bedrock.is_report, bedrock.report, bedrock.KINDS, counts=True, charges=True),
    Format("aws-cost-explorer", "bedrock", bedrock.is_explorer, bedrock.explorer, bedrock.KINDS, counts=False, charges=True),
    Format("openai-usage", "openai", openai.is_usage, openai.usage, openai.USAGE_KINDS, counts=True, charges=False),
)
"""In the order in which they are tried."""
_KNOWN = ", ".join(one.name for one in FORMATS)
_EMPTY = 1000
"""So many lines may say nothing before the first that does: buckets of an API without results."""
_TIMES = (("start_time", "start_time_iso"), ("starting_at", "usage_date_utc"))

Key = tuple[date, str, str]
"""Day, model, kind."""


class Sum(Struct):
    """What an export says of one key."""

    quantity: Decimal = Decimal(0)
    money: Decimal = Decimal(0)
    rows: int = 0
    noise: Decimal = Decimal(0)
    """By how much money may differ because it was a double on its way."""


class Export:
    """All files of one format: sums by key, however many lines they have."""

    def __init__(self, form: Format) -> None:
        self.format = form
        self.sums: dict[Key, Sum] = {}
        self.first: date | None = None
        self.last: date | None = None
        """Of the days that it is about."""
        self.without_cache_writes = False
        """It is of a time when OpenAI did not tell them: they are in `input`."""
        self._quantity_step: Decimal | None = None
        self._money_step = Decimal(1)

    def add(self, line: Line) -> None:
        """Takes a line. Raises `Malformed`."""
        for row in self.format.rows(line):
            self._add(row)
        if times := next((names for names in _TIMES if line.text(*names)), None):
            self._about(line.day(*times))
        if self.format.name == "openai-usage" and line.text("input_tokens") and "input_cache_write_tokens" not in line.fields:
            self.without_cache_writes = True

    def tolerance(self, total: Sum) -> Decimal:
        """By how much money may differ because it was rounded: half of its last digit a line, a cent's at most."""
        return EXACT.add(EXACT.multiply(min(self._money_step / 2, _CENT_HALF), Decimal(total.rows)), total.noise)

    def blur(self, total: Sum) -> Decimal:
        """The same of quantities: none, where single pieces are told."""
        step = self._quantity_step
        return Decimal(0) if step is None or step <= 1 else step / 2 * total.rows

    def _add(self, row: Row) -> None:
        self._about(row.day)
        key = row.day, row.model, row.kind
        total = self.sums.get(key)
        if total is None:
            total = self.sums[key] = Sum()
        total.rows += 1
        if row.quantity is not None:
            pieces = EXACT.multiply(row.quantity, Decimal(row.unit))
            total.quantity = EXACT.add(total.quantity, pieces)
            # The finest that any line tells is what all lines could have told.
            step = _step(row.quantity) * row.unit
            self._quantity_step = step if self._quantity_step is None else min(self._quantity_step, step)
        if row.money is not None:
            total.money = EXACT.add(total.money, row.money)
            self._money_step = min(self._money_step, _step(row.money))
            if len(row.money.as_tuple().digits) >= _DIGITS:
                total.noise = EXACT.add(total.noise, EXACT.multiply(abs(row.money), _DOUBLE))

    def _about(self, day: date) -> None:
        self.first = day if self.first is None else min(self.first, day)
        self.last = day if self.last is None else max(self.last, day)


def read(paths: Iterable[Path], named: str | None = None) -> list[Export]:
    """The exports that files hold, by format. `named`: the name of theirs, where they do not tell. Raises `Malformed`, OSError."""
    exports: dict[str, Export] = {}
    for path in paths:
        found = lines(path)
        form, begin = _recognized(path, found) if named is None else (next(one for one in FORMATS if one.name == named), [])
        export = exports.setdefault(form.name, Export(form))
        for line in chain(begin, found):
            export.add(line)
    return list(exports.values())


def _recognized(path: Path, found: Iterator[Line]) -> tuple[Format, list[Line]]:
    """What it is, and the lines that had to be read to know that."""
    begin: list[Line] = []
    for line in islice(found, _EMPTY):
        begin.append(line)
        if (form := next((one for one in FORMATS if one.is_it(frozenset(line.fields))), None)) is not None:
            return form, begin
    raise Malformed(path.name, "", f"it is no export that is known here, or an empty one (--as); known are {_KNOWN}")


def _step(number: Decimal) -> Decimal:
    """What its last digit counts."""
    exponent = number.as_tuple().exponent
    return Decimal(1).scaleb(min(exponent, 0) if isinstance(exponent, int) else 0)
