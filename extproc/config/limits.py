"""Limits and budgets as gateway.yaml says them, and what they become: rules, and whom these are for."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from msgspec import Meta

from extproc.config.nearest import hint, quoted
from extproc.config.section import Section
from extproc.limits.money import NANOS
from extproc.limits.rule import MOST, THRESHOLDS, Lease, Rule, Unit, name_of
from extproc.limits.window import LONGEST, UNDER_WAY, Window, is_zone

NAMES = (
    "organization", "project", "team", "user", "service_account", "tenant", "key", "model", "provider", "end_user",
)  # fmt: skip
"""What a rule may be per, beside `tag:NAME`."""

UNITS: tuple[Unit, ...] = ("requests", "input_tokens", "output_tokens", "tokens", "cost", "concurrency")

Count = Annotated[int, Meta(ge=0, le=MOST)]
Money = Annotated[
    str, Meta(pattern=r"^[0-9]{1,7}(\.[0-9]{1,9})?$", description="US dollars as a decimal, such as `50` or `0.25`: at most 9 million")
]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Title = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _./-]{0,62}$",
        description="a name: letters, digits, spaces, `_`, `.`, `/` and `-`, at most 63, the first no sign",
    ),
]


class LimitRule(Section, frozen=True):
    """How much of one thing may be used in some time: one of `requests`, `input_tokens`, `output_tokens`, `tokens`, `cost` and
    `concurrency`, and for all but the last `window` or `seconds`.
    """

    name: Title | None = None
    """What answers, metrics and the log call it, and what its counters go by: a rule that keeps its name keeps its counts. Made from what
    it counts unless given."""
    requests: Count | None = None
    """So many requests."""
    input_tokens: Count | None = None
    """So many tokens of what is asked."""
    output_tokens: Count | None = None
    """So many tokens of answers."""
    tokens: Count | None = None
    """So many of both together."""
    cost: Money | None = None
    """US dollars, as providers charge them."""
    concurrency: Count | None = None
    """So many requests under way at once."""
    window: Literal["second", "minute", "hour", "day", "week", "month"] | None = None
    """A unit of the calendar: the count starts anew when the next one begins."""
    seconds: Annotated[int, Meta(ge=1, le=LONGEST)] | None = None
    """In place of `window`: in any span of so many seconds."""
    zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """Time zone in which days, weeks (from Monday) and months begin, such as `Europe/Berlin`."""
    per: Text | tuple[Text, ...] = ()
    """Each value of this has a counter of its own: `organization`, `project`, `team`, `user`, `service_account`, `tenant`, `key`,
    `model`, `provider`, `end_user` or `tag:NAME`; of a list, each combination. Requests that lack one are not counted. Unless given, all
    requests share one counter."""
    only: dict[Text, tuple[Text, ...]] = {}
    """The requests that it is for, by the same names: patterns, in which `*` stands for anything, such as `{model: [gpt-*]}`. One that
    has several names is for requests that fit all of them."""
    hard: bool = True
    """Refuse what goes beyond it. False: tell of it only."""
    thresholds: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = THRESHOLDS
    """Shares of it that are told of when they have been used, in rising order."""
    on_outage: Literal["open", "closed", "share"] = "share"
    """While nobody can count: let all through (`open`), nothing (`closed`), or each worker its share of what was left."""

    lease: Lease = "off"
    """`auto`: workers reserve some of what is left in advance, and then ask nobody for most requests of a busy counter. Only with
    `window`."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what contradicts itself."""
        said = [unit for unit in UNITS if getattr(self, unit) is not None]
        if len(said) != 1:
            got = f"got {' and '.join(said)}" if said else "none is there"
            raise ValueError(f"a rule counts one of {', '.join(UNITS)}; {got}")
        if said == ["concurrency"]:
            if self.window is not None or self.seconds is not None:
                raise ValueError("what is under way at once is counted in no window: leave out `window` and `seconds`")
        elif (self.window is None) == (self.seconds is None):
            raise ValueError("say either `window` or `seconds`")
        if self.lease != "off" and self.window is None:
            raise ValueError("`lease` is for rules with `window`")
        if not is_zone(self.zone):
            raise ValueError(f"{quoted(self.zone)} is no time zone that is known here, such as `Europe/Berlin`")
        for name in (*self.names, *self.only):
            _check(name)
        if len(set(self.names)) < len(self.names):
            raise ValueError("`per` names something twice")
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError("`thresholds` have to rise")
        self.rule()

    @property
    def names(self) -> tuple[str, ...]:
        """What it is per."""
        return (self.per,) if isinstance(self.per, str) else self.per

    def rule(self, plan: str = "") -> Rule:
        """What is counted. `plan`: the one that it belongs to: then it is per tenant, unless it says per what."""
        unit = next(unit for unit in UNITS if getattr(self, unit) is not None)
        per = self.names or (("tenant",) if plan else ())
        id = self.name or " ".join((name_of(unit, self._window, per), *_whose(self.only)))
        return Rule(
            id=f"plan {plan}/{id}" if plan else id, unit=unit, amount=self._amount(unit), window=self._window, per=per, hard=self.hard,
            thresholds=self.thresholds, on_outage=self.on_outage, lease=self.lease,
        )  # fmt: skip

    @property
    def _window(self) -> Window:
        if self.concurrency is not None:
            return UNDER_WAY
        if self.seconds is not None:
            return Window("sliding", self.seconds)
        assert self.window is not None
        return Window(self.window, zone=self.zone if self.window in ("day", "week", "month") else "UTC")

    def _amount(self, unit: Unit) -> int:
        if unit != "cost":
            return int(getattr(self, unit))
        try:
            return min(MOST, int(Decimal(self.cost or "0") * NANOS))
        except InvalidOperation:
            raise ValueError("`cost` is no decimal number") from None


class LimitPlan(Section, frozen=True):
    """Rules that go together, and who has them: each tenant has counters of its own, unless a rule says per what."""

    rules: Annotated[tuple[LimitRule, ...], Meta(min_length=1, max_length=64)]
    """What they may use."""
    only: dict[Text, tuple[Text, ...]] = {}
    """Who has the plan, as `only` of a rule: `{tenant: [trial-*]}`. All, unless given."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a name that is none."""
        for name in self.only:
            _check(name)


def _check(name: str) -> None:
    if name.startswith("tag:") and len(name) > len("tag:"):
        return
    if name not in NAMES:
        raise ValueError(f"{quoted(name)} is nothing that requests have" + hint(name, NAMES, "they have, beside `tag:NAME`"))


def _whose(only: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for name, patterns in only.items():
        yield f"of {name} {', '.join(patterns)}"
