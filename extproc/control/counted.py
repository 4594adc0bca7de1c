"""How limits and budgets stand now, for people: what of each counter is used, reserved and left."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from extproc.config.load import Loaded
from extproc.control.settling import Run, Settling
from extproc.identity.ids import kind_of
from extproc.identity.levels import ORDER
from extproc.identity.named import NAMED, Named, ids_in, in_words
from extproc.ledger.spent import Spent
from extproc.limits.limit import LimitsDown, Look
from extproc.limits.money import NANOS, plain_dollars
from extproc.limits.news import moment
from extproc.limits.reserved import Counted
from extproc.limits.reserved import counted as counted_of
from extproc.limits.rule import DIGEST, Rule, rule_of
from extproc.limits.ruling import compiled
from extproc.limits.window import spot

_MOST = 1000
"""Counters that are told of: those that are fullest."""


def rules(loaded: Loaded) -> tuple[Rule, ...]:
    """The rules of a configuration."""
    names = [next(iter(entry)) for entry in loaded.config.filters] if loaded.config is not None else []
    found = (settings for name, settings in zip(names, loaded.filters, strict=True) if name == "limits")
    return tuple(each.rule for settings in found for each in compiled(getattr(settings, "rules", ()), getattr(settings, "plans", {})))


def single(own: Iterable[Rule]) -> dict[str, Counted]:
    """Of rules that have one counter only: that counter, by the rule's id."""
    wants = ((rule, rule.want(0, {})) for rule in own if not rule.per)
    return {rule.id: counted_of(want, rule) for rule, want in wants if want is not None}


def label(rule: str, own: Iterable[str]) -> str:
    """What metrics call a rule: those of identities by the kind of their level, since there may be any number of them; `other`: one whose
    id is too long to be told.
    """
    kind = rule.partition(":")[0].partition(" ")[0].rstrip(",")
    if rule.startswith(DIGEST):
        return "other"
    return kind if kind in ORDER and rule not in own else rule


async def counters(settling: Settling, spent: Spent, run: Run, own: Iterable[Rule], now: float | None = None) -> dict[str, Any]:
    """The document, of JSON: counters of which something was used, and those of rules that have one only. The fullest first.

    What is reserved, and in which place it is counted, is asked where it is counted; while nobody can be, that is null.
    """
    now = time.time() if now is None else now
    known = await run(lambda: _known(spent, now))
    looked = await asyncio.gather(*(_look(settling, each, now) for each in ({**known, **_by_counter(own)}).values()))
    rows = sorted(looked, key=lambda found: (-_share(*found), found[0].counter))[:_MOST]
    return {"data": [_row(counted, look, now) for counted, look in rows], "next_cursor": None}


def ids(told: Mapping[str, Any]) -> set[str]:
    """The ids that a document names."""
    return {id for row in told["data"] for id in ids_in(row["counter"])}


def with_names(told: Mapping[str, Any], known: Mapping[str, Named]) -> dict[str, Any]:
    """The document for people who know names. Counters of what is in force no more are left out: nobody is held to them."""
    names = {id: one.name for id, one in known.items()}
    rows = ({**row, "title": in_words(row["counter"], names)} for row in told["data"] if _is_there(row["rule"], names))
    return {**told, "data": list(rows)}


def _is_there(rule: str, names: Mapping[str, str]) -> bool:
    """Of a rule of somebody's: whether the store still knows whose. Also one that was used in another store, before this one."""
    kind, _, rest = rule.partition(" ")
    id = rest.partition(":")[0].partition(",")[0]
    return kind not in NAMED or kind_of(id) != kind or id in names


async def stand(settling: Settling, own: Iterable[Rule], now: float | None = None) -> dict[str, tuple[float, float]]:
    """What is used, or reserved, and may be, of rules that have one counter only: for graphs."""
    now = time.time() if now is None else now
    found = {}
    for name, counted in single(own).items():
        _, look = await _look(settling, counted, now)
        if look is not None:
            scale = NANOS if counted.unit == "cost" else 1
            found[name] = look.used / scale, counted.terms.most / scale
    return found


def _by_counter(own: Iterable[Rule]) -> dict[str, Counted]:
    return {each.counter: each for each in single(own).values()}


def _known(spent: Spent, now: float) -> dict[str, Counted]:
    """Counters of windows that are not over."""
    at = int(now * 1000)
    sums = (each for each in spent.sums(now) if _is_now(each.counted, each.at, at))
    return {each.counted.counter: each.counted for each in sums}


def _is_now(counted: Counted, then: float, at: int) -> bool:
    window = counted.terms.window
    return spot(window, int(then * 1000)).name == spot(window, at).name


async def _look(settling: Settling, counted: Counted, now: float) -> tuple[Counted, Look | None]:
    try:
        return counted, await settling.look(counted, now)
    except LimitsDown:
        return counted, None


def _share(counted: Counted, look: Look | None) -> float:
    return look.used / max(1, counted.terms.most) if look is not None else 0.0


def _row(counted: Counted, look: Look | None, now: float) -> dict[str, Any]:
    terms, unit = counted.terms, counted.unit
    window, ends = terms.window, spot(terms.window, int(now * 1000)).ends

    def told(amount: int | None) -> str | None:
        if amount is None:
            return None
        return plain_dollars(amount) if unit == "cost" and amount >= 0 else str(amount)

    return {
        "counter": counted.counter,
        "rule": rule_of(counted.counter),
        "unit": unit,
        "amount": told(terms.most),
        "window": window.length,
        "seconds": window.seconds or None,
        "zone": window.zone,
        "hard": terms.hard,
        "used": told(look.settled) if look else None,
        "reserved": told(look.used - look.settled) if look else None,
        "left": told(max(0, terms.most - look.used)) if look else None,
        "resets": moment(ends / 1000) if ends else None,
    }
