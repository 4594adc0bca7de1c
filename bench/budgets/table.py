"""What a scene has shown, and which promises it has kept."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from bench.budgets.clients import Seen
from extproc.limits.money import NANOS


class Shown(Struct):
    """Money in US dollars."""

    what: str
    budget: Decimal
    seen: Seen
    peak: Decimal
    """The most that was settled and reserved at one time."""
    rushed: Decimal
    """Settled when the crowd was gone."""
    settled: Decimal
    """In the end, when one client had spent the rest."""
    ledgers: Decimal
    given: Decimal
    """What the provider says that it gave, at the same prices: also what it went on with when nobody listened any more."""
    reserved: Decimal
    """Still, when all should be settled."""
    slots: int
    settling: float
    """Seconds from the end of the crowd until nothing was reserved."""
    least: Decimal
    """What a request reserves."""


def broken(shown: Shown) -> Iterator[str]:
    """Promises that were not kept."""
    if max(shown.peak, shown.settled, shown.ledgers) > shown.budget:
        yield f"overspent: {max(shown.peak, shown.settled, shown.ledgers)} of {shown.budget} USD"
    if shown.seen.needless:
        yield f"{shown.seen.needless} requests were refused though there was room"
    if shown.budget - shown.settled >= shown.least:
        yield f"underspent: {shown.budget - shown.settled} USD were left, and nobody got them"
    if shown.reserved or shown.slots:
        yield f"not back to zero: {shown.reserved} USD and {shown.slots} slots are still reserved"
    if int(shown.ledgers * NANOS) != int(shown.settled * NANOS):
        yield f"two books: {shown.settled} USD are settled, and the ledgers say {shown.ledgers}"
    if not shown.seen.statuses[200] or not shown.seen.statuses[402]:
        yield f"nothing is shown: {dict(shown.seen.statuses)}"


def markdown(all_: Sequence[Shown]) -> str:
    """A row for each scene."""
    heads = (
        "scene", "answered", "hung up", "refused (402)", "other", "budget", "settled and reserved, at most", "settled after the crowd",
        "settled in the end", "ledgers", "provider", "reserved at last", "settled within", "promises",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    return "\n".join([*lines, *map(_row, all_)])


def _row(shown: Shown) -> str:
    statuses = shown.seen.statuses
    others = {status: count for status, count in sorted(statuses.items()) if status not in (200, 402)}
    cells = (
        shown.what, statuses[200], shown.seen.hung_up, statuses[402],
        ", ".join(f"{count} x {status or 'no answer'}" for status, count in others.items()) or "none",
        f"{shown.budget:.3f}", f"{shown.peak:.3f}", f"{shown.rushed:.3f}", f"{shown.settled:.3f}", f"{shown.ledgers:.3f}",
        f"{shown.given:.3f}", f"{shown.reserved:.3f}", f"{shown.settling:.1f} s", "; ".join(broken(shown)) or "kept",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"
