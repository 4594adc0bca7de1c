"""What there is to tell people of limits and budgets: a threshold was reached, or nothing is left."""

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from extproc.limits.money import plain_dollars
from extproc.limits.rule import Rule, Unit, Want, rule_of
from extproc.limits.window import Window, spot

_HOUR, _DAY = 3_600, 86_400
"""Seconds."""
_UNITS = {"input_tokens": "input tokens", "output_tokens": "output tokens", "cost": "USD", "concurrency": "requests at once"}


class Reached(Struct, frozen=True, tag=True, kw_only=True):
    """A threshold was reached: told once in a window; after a crash perhaps twice."""

    counter: str
    """The rule's id, and the values of what it is per."""
    per: tuple[str, ...] = ()
    unit: Unit
    window: Window
    group: str = ""
    """The organization, where the rule belongs to one; else the rule's id."""
    hard: bool = True
    threshold: float
    """A share of `most`."""
    used: int
    """Settled; money in nano-dollars."""
    most: int
    resets: float = 0.0
    """Seconds since 1970 when the window ends."""


class Exhausted(Struct, frozen=True, tag=True, kw_only=True):
    """A hard rule has refused a request: told once in a window, by each machine."""

    counter: str
    per: tuple[str, ...] = ()
    unit: Unit
    window: Window
    group: str = ""
    most: int
    resets: float = 0.0
    """Seconds since 1970 when there is room again, if nothing else comes."""


News = Reached | Exhausted
Heard = Callable[[News], None]
"""Is told, in the control process's loop: quick, and never failing."""


def exhausted(want: Want, rule: Rule, resets: float) -> Exhausted | None:
    """That a rule has no room for what is wanted; None where that is no news: it would never fit, or it is about what is under way at
    once.
    """
    terms = want.terms
    if rule.unit == "concurrency" or want.amount > terms.most > 0:
        return None
    return Exhausted(
        counter=want.counter, per=rule.per, unit=rule.unit, window=terms.window, group=want.group, most=terms.most, resets=resets
    )  # fmt: skip


def lasts(news: News) -> bool:
    """Whether somebody has to hear of it: what a day or longer is over is news, and so is money from an hour on. A limit a minute is
    reached each minute, by each of its counters: metrics count that, and answers say it.
    """
    return news.window.span >= (_HOUR if news.unit == "cost" else _DAY)


def told_rule(news: News) -> Rule:
    """The rule, as far as the news says it."""
    return Rule(
        id=rule_of(news.counter), unit=news.unit, amount=news.most, window=news.window, per=news.per, group=news.group,
        hard=not isinstance(news, Reached) or news.hard,
    )  # fmt: skip


def window(news: Exhausted, at: float) -> str:
    """Names the window that a moment is in: of each there is one such piece of news."""
    where = spot(news.window, int(at * 1000))
    return f"{news.counter}@{where.name}"


def count(amount: int, unit: Unit) -> str:
    """So much of a unit, in words."""
    return f"{plain_dollars(amount) if unit == 'cost' else amount} {_UNITS.get(unit, unit)}"


def moment(seconds: float) -> str:
    """A moment as people and programs write it (RFC 3339)."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def words(news: News) -> str:
    """In a sentence, for the log."""
    until = f"; it starts anew at {moment(news.resets)}" if news.resets else ""
    if isinstance(news, Exhausted):
        return f"limit {news.counter!r}: requests are refused, there is no room for them in {count(news.most, news.unit)}{until}"
    share = f"{news.threshold:.0%} of {count(news.most, news.unit)}"
    return f"limit {news.counter!r}: {share} are used ({count(news.used, news.unit)}){until}"
