"""The slots of targets and providers: the last filter of a configuration that bounds them, so that what the cache answers takes none.

A target that is full is passed over while another has room; where all are full, the request waits, if its model has a queue, or is refused.
The slot is that of the target which is asked first: it is held to the end of the answer, or until the request goes on to another target,
whose slot the attempt there takes by itself (`course.py`).
"""

import time
from collections.abc import Iterator

from extproc.config.concurrency import concurrency
from extproc.config.model import Config, aim
from extproc.errors import Reject, come_again
from extproc.slots.holding import Holding
from extproc.slots.slot import NO_LINE, Choice, Full, Line, Slots, Taken, Want
from extproc.standing.verdict import meaning
from extproc.tried import Tried, only
from extproc.values import Request, Response, Target

_TOO_MUCH = frozenset({429, 503, 504, 529})
"""Statuses by which a provider says that it has too much to do."""
_KINDS = frozenset({"overloaded", "limited", "timeout"})
"""What that means, where the status does not say it."""


class Quotas:
    """Takes a slot for each request that goes to a bounded target."""

    def __init__(self, config: Config, slots: Slots) -> None:
        self.slots = slots
        self._providers = {
            name: Want(f"provider:{name}", limit.most, limit.adapt)
            for name, provider in config.providers.items()
            if (limit := concurrency(provider.concurrency)) is not None
        }
        self._targets = {
            (one.provider, one.model): Want(f"target:{one.to}", limit.most, limit.adapt)
            for model in config.models
            for one in map(aim, model.targets)
            if (limit := concurrency(one.concurrency)) is not None
        }
        self._lines = {model.name: Line(model.queue.most, model.queue.wait) for model in config.models if model.queue is not None}

    def __bool__(self) -> bool:
        return bool(self._providers or self._targets)

    async def request(self, request: Request) -> Holding | None:
        """See `Handler`."""
        choices = tuple(self._choices(request.targets))
        if not choices or not choices[0]:
            self._put_off(request)
            return None
        line = self._lines.get(request.record.route, NO_LINE)
        taken = await (self.slots.take(choices, line) if not line.most else self._in_line(request, choices, line))
        if isinstance(taken, Full):
            raise busy(request.record.model, taken, line)
        if taken.choice:
            request.targets = request.targets[taken.choice :]
        self._put_off(request)
        request.slot = taken.ticket
        held = choices[taken.choice]
        return _Watching(self, taken.ticket, request) if any(want.adapt for want in held) else Holding(self.slots, taken.ticket)

    async def _in_line(self, request: Request, choices: tuple[Choice, ...], line: Line) -> Taken | Full:
        began = time.perf_counter()
        try:
            return await self.slots.take(choices, line)
        finally:
            request.record.waited(time.perf_counter() - began, known=True)

    def _put_off(self, request: Request) -> None:
        """Of those behind the first, whoever is known to be full is asked last."""
        rest = request.targets[1:]
        if late := tuple(one for one in rest if self._is_full(one)):
            request.targets = (*request.targets[:1], *(one for one in rest if one not in late), *late)

    def _is_full(self, target: Target) -> bool:
        wants = self.wants(target.provider, target.model)
        return bool(wants) and self.slots.is_full(wants)

    def _choices(self, targets: tuple[Target, ...]) -> Iterator[Choice]:
        """What each target needs, as far as the first that needs nothing."""
        for target in targets:
            wants = self.wants(target.provider, target.model)
            yield wants
            if not wants:
                return

    def wants(self, provider: str, model: str) -> Choice:
        """The slots of a target. One that keeps the name which was asked for has them for all names together."""
        own = self._targets.get((provider, model)) or self._targets.get((provider, ""))
        whole = self._providers.get(provider)
        return tuple(want for want in (own, whole) if want is not None)

    def overloaded(self, tried: Tried) -> None:
        """The target of this attempt has said that it has too much to do."""
        for want in self.wants(tried.provider, tried.model):
            if want.adapt:
                self.slots.overloaded(want.scope)


class _Watching(Holding):
    """Tells of targets that say that they have too much to do."""

    def __init__(self, quotas: Quotas, ticket: bytes, request: Request) -> None:
        super().__init__(quotas.slots, ticket)
        self._quotas = quotas
        self._request = request

    async def end(self, response: Response) -> None:
        """See `Tap`."""
        record = self._request.record
        for tried in record.tried or (only(response, self._request.targets[0], response.reason or record.error),):
            if response.origin in ("provider", "envoy") and too_much(tried):
                self._quotas.overloaded(tried)
        await super().end(response)


def too_much(tried: Tried) -> bool:
    """Whether that says that its target has too much to do."""
    means = meaning(tried.status, tried.reason)
    return means in _KINDS or (tried.status in _TOO_MUCH and means != "nothing")


def busy(model: str, full: Full, line: Line) -> Reject:
    """What a request for that model is refused with, where there is no slot."""
    what, _, name = full.scope.partition(":")
    asked = f" {model!r} has no other that is free." if model else ""
    waited = f" It waited {line.wait:g} s for one of them to end." if full.waited else ""
    message = f"The {what} {name!r} has as many requests under way as it may have (`concurrency`).{asked}{waited} Try again."
    return Reject(503, "concurrency_limit", message, headers=(come_again(full.again),))
