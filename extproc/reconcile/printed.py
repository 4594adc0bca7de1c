"""What `headgate reconcile` prints: a table for people, JSON and CSV for programs. Amounts are exact."""

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec

from extproc.ledger.money import plain
from extproc.reconcile.compare import Compared, Difference, Side

_HEADER = ("format", "day", "model", "kind", "difference", "export_quantity", "ledger_quantity", "export_usd", "ledger_usd", "reasons")


Beside = Sequence[tuple[Compared, Sequence[str]]]
"""Each export, and the ledger's providers that it was compared with."""


def as_json(found: Beside) -> str:
    """One object."""
    document = {
        "exports": [
            {
                "format": one.format,
                "from": one.first.isoformat(),
                "to": one.after.isoformat(),
                "providers": list(providers),
                "compared": one.keys,
                "export": _amounts(one.theirs),
                "ledger": _amounts(one.ours),
                "differences": [_named(each) for each in one.differences],
            }
            for one, providers in found
        ]
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def as_csv(found: Beside) -> str:
    """A line a difference."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    for one in (each for compared, _ in found for each in compared.differences):
        numbers = (one.theirs.quantity, one.ours.quantity, one.theirs.money, one.ours.money)
        writer.writerow(
            [one.format, one.day, _inert(one.model), _inert(one.kind), one.name, *map(plain, numbers), _inert("; ".join(one.reasons))]
        )
    return out.getvalue()


def as_table(found: Beside) -> str:
    """For people."""
    shown = []
    for one, providers in found:
        head = f"{one.format}: {one.first} to {one.after - timedelta(days=1)}, beside the ledger's {', '.join(providers)}"
        shown.append(f"{head}: {one.keys} compared, {_counted(len(one.differences))}")
        if one.theirs.money or one.ours.money:
            shown.append(f"  charged {plain(one.theirs.money)} USD, in the ledger {plain(one.ours.money)} USD")
        for each in one.differences:
            shown += _lines(each)
    return "\n".join(shown) + "\n"


def _lines(one: Difference) -> list[str]:
    what = " ".join(_shown(word) for word in (one.model or "all models", one.kind.replace("_", " ")) if word)
    numbers = []
    if one.theirs.quantity or one.ours.quantity:
        numbers.append(_pair(one.theirs.quantity, one.ours.quantity, ""))
    if one.theirs.money or one.ours.money:
        numbers.append(_pair(one.theirs.money, one.ours.money, " USD"))
    return [f"  {one.day}  {what}: {one.name}: {'; '.join(numbers)}", *(f"      {_shown(reason)}" for reason in one.reasons)]


def _pair(theirs: Decimal, ours: Decimal, unit: str) -> str:
    off = theirs - ours
    return f"export {plain(theirs)}{unit}, ledger {plain(ours)}{unit} ({'+' if off > 0 else ''}{plain(off)})"


def _counted(count: int) -> str:
    return "no difference" if not count else "1 difference" if count == 1 else f"{count} differences"


def _named(one: Difference) -> dict[str, object]:
    return {
        "day": one.day.isoformat(),
        "model": one.model or None,
        "kind": one.kind or None,
        "difference": one.name,
        "export": _amounts(one.theirs),
        "ledger": {**_amounts(one.ours), **msgspec.structs.asdict(one.ours.doubts)},
        "reasons": list(one.reasons),
    }


def _amounts(side: Side) -> dict[str, str]:
    return {"quantity": plain(side.quantity), "usd": plain(side.money)}


def _shown(text: str) -> str:
    """Names in a file may be anybody's: no control characters reach a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _inert(text: str) -> str:
    """A spreadsheet takes what begins so for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
