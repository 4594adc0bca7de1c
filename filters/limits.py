"""Limits and budgets: what a request can use at most is reserved before it goes on, on all counters that are about it; or it is refused.

Stands behind `route`, which says who will be asked, and `cache`, whose answers cost nothing. What was reserved is settled from the ledger,
when the request has its entry there. Beside its own rules it counts those of whoever calls: of his organization, team, key, ....
"""

import time
from collections.abc import Mapping, Sequence
from os import urandom
from typing import Annotated

from msgspec import Meta

from extproc import (
    Asking,
    Environment,
    Filter,
    Granted,
    Handler,
    InForce,
    LimitPlan,
    LimitRule,
    LimitUnit,
    Measure,
    Price,
    Refused,
    Reject,
    Request,
    Reserved,
    Response,
    SharedCounters,
    Tap,
    Target,
    Undone,
    Wish,
    counted,
    exhausted,
    is_capped,
    leased,
    limit_headers,
    limit_refusal,
    most_dollars,
    reserved_amounts,
    shorter_answer,
)

PlanName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", description="a plan's name: letters, digits, `_`, `.` and `-`, at most 63")
]
_NO_TEXT = frozenset({"embeddings", "rerank"})
"""Operations whose answers have no tokens."""
_UNKNOWN: Mapping[LimitUnit, int] = dict.fromkeys(("requests", "concurrency", "input_tokens", "output_tokens", "tokens", "cost"), 1)
"""Of what nobody knows the size it is wanted that something is left."""
_FREE: Mapping[LimitUnit, int] = {**_UNKNOWN, "input_tokens": 0, "output_tokens": 0, "tokens": 0, "cost": 0}
"""To count tokens costs nothing."""


class Limits(Filter, frozen=True, kw_only=True):
    """Bounds what may be used in some time: requests, tokens, money, and how many requests may be under way at once. Counted by the control
    process, or in Redis, if that is configured.
    """

    rules: Annotated[tuple[LimitRule, ...], Meta(max_length=256)] = ()
    """All that are about a request have to let it pass."""
    plans: Annotated[dict[PlanName, LimitPlan], Meta(max_length=64)] = {}  # noqa: RUF012 - msgspec copies it
    """Rules that go together, by the plan's name, and who has them."""
    answer: Annotated[int, Meta(ge=1, le=10_000_000)] = 4096
    """Tokens that are reserved for an answer whose length the request does not bound."""

    def __post_init__(self) -> None:
        """Raises `ValueError` where two rules would have the same counters."""
        names = [rule.rule().id for rule in self.rules]
        names += [rule.rule(plan).id for plan, of in self.plans.items() for rule in of.rules]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'two rules count the same, "{twice}": give one of them a `name`')

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Limits(self, environment)


class _Limits:
    def __init__(self, settings: Limits, environment: Environment) -> None:
        self._in_force = InForce(settings.rules, settings.plans)
        self._counters: SharedCounters = environment.leased if self._in_force.leases else environment.limits
        self._answer = settings.answer
        self._prices, self._quotes = environment.prices, environment.quotes
        self._aside = environment.aside

    async def request(self, request: Request) -> Tap | None:
        rulings = self._in_force.find(request.identity)
        if not rulings.all or not request.targets:
            return None
        amounts, body_user = _UNKNOWN, None
        if rulings.measures or (rulings.users and request.bulky):
            amounts, body_user = await self._measure(request, priced=rulings.prices)
        asking = Asking(request, body_user)
        wishes = rulings.wishes(amounts, asking)
        if rulings.users and not request.record.end_user:
            # Whom a rule was counted for is whom reports are about.
            request.record.end_user = asking.end_user
        if not wishes:
            return None
        ticket, at, wants = urandom(12), time.time(), tuple(wish.want for wish in wishes)
        found = await self._counters.reserve(ticket, wants, at)
        if isinstance(found, Refused):
            raise self._refusal(request, wishes[found.at], found, at)
        told = tuple(counted(want, ruling.rule) for ruling, want in wishes)
        request.record.reserved = Reserved(ticket.hex(), at, told, leased(found.leases, wants))
        return _Holding(self._counters, ticket, request, wishes, found)

    async def _measure(self, request: Request, *, priced: bool) -> tuple[Mapping[LimitUnit, int], str | None]:
        """The most that it can use; and the end user that it names, if that was seen by the way."""
        if request.endpoint.operation == "count":
            return _FREE, None
        if not request.endpoint.json:
            return _UNKNOWN, None
        request.settle()
        job = Measure(self._answer, generates=request.endpoint.operation not in _NO_TEXT)
        try:
            asked = await self._aside.work(job, request.body, request.identity.lane) if request.bulky else job.work(request.body)
        except Undone as undone:
            fault = undone.fault
            raise Reject(fault.status, fault.code, fault.message, headers=(("retry-after", "1"),)) from None
        prices = [await self._price(target) for target in _askable(request)] if priced else []
        cost = most_dollars(asked, prices, 1)
        amounts = reserved_amounts(asked, cost, 1)
        return (amounts if cost is not None else {**amounts, "cost": 1}), asked.end_user

    async def _price(self, target: Target) -> Price | None:
        known = self._prices.get(f"{target.provider}/{target.model}")
        return known if known is not None else await self._quotes.find(target.provider, target.model)

    def _refusal(self, request: Request, wish: Wish, refused: Refused, at: float) -> Reject:
        # What is decided alone is this worker's share.
        news = None if refused.alone else exhausted(wish.want, wish.ruling.rule, refused.resets)
        self._counters.refused(wish.ruling.label, news)
        return limit_refusal(request.endpoint.dialect, wish, refused, at, self._less(request, wish.ruling.rule.unit), request.identity.key)

    def _less(self, request: Request, unit: LimitUnit) -> str:
        """How it could be asked for with less, where its answer is text."""
        endpoint = request.endpoint
        if not endpoint.json or endpoint.operation in _NO_TEXT or request.bulky:
            return ""
        return shorter_answer(endpoint.dialect, unit, 0 if is_capped(request.body) else self._answer)


def _askable(request: Request) -> tuple[Target, ...]:
    """Who may be asked: whoever is named for a refusal, too."""
    refusals = request.retrying.refusals if request.retrying is not None else None
    return request.targets if refusals is None else (*request.targets, *refusals.length, *refusals.policy)


class _Holding(Tap):
    """Tells what is left, and that the request is over."""

    passes = True

    def __init__(self, counters: SharedCounters, ticket: bytes, request: Request, wishes: Sequence[Wish], granted: Granted) -> None:
        self._counters = counters
        self._ticket = ticket
        self._request = request
        self._wishes = wishes
        self._granted = granted

    def start(self, response: Response) -> None:
        response.headers |= limit_headers(self._request.endpoint.dialect, self._wishes, self._granted.states, time.time())

    async def end(self, response: Response) -> None:
        if response.origin == "gateway" and response.status >= 400:
            self._counters.release(self._ticket)
            if self._granted.leases:
                # Others may take it by now: nothing is to come back once more when the record is settled.
                self._request.record.reserved = None
        else:
            self._counters.ended(self._ticket)
