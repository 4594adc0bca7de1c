"""One request on its way through the engine, filter by filter, with a note of what each of them did."""

import asyncio
import time
from collections.abc import Iterable

from extproc.engine import Engine
from extproc.errors import Reject
from extproc.exchange import Exchange
from extproc.explain.explanation import Step
from extproc.explain.notebook import Notebook, Past
from extproc.explain.question import Question
from extproc.filter import Handler, Tap
from extproc.intake import Forward
from extproc.snapshot import decode, decode_settings
from extproc.tokens import Token, encode_tokens, purpose_of
from extproc.values import Request, Response

_OURS = {"Passing": "callers.own_keys", "Quotas": "concurrency"}
"""Handlers that no filter of the configuration has opened, by what they are here."""
_HOUR = 3600.0


class Passage:
    """What became of it."""

    def __init__(self, data: bytes, question: Question, host: str) -> None:
        """`data`: a snapshot as the control process sends it."""
        self.notebook, self.past = Notebook(), Past()
        engine = Engine(self.notebook, self.notebook, lambda _: self.notebook, None, self.past, lambda _: self.past)
        engine.counters = engine.leased = lambda _: self.notebook
        engine.load(data)
        snapshot = engine.current
        # Access tokens are fetched by the control process; here nobody is asked.
        wanted = filter(None, (purpose_of(name, provider) for name, provider in snapshot.config.providers.items()))
        engine.purse.take(encode_tokens({purpose: Token("", time.time() + _HOUR) for purpose in wanted}))
        self.steps: list[Step] = []
        settings, filters = decode_settings(decode(data)[1])
        names = [(one.early, name) for (name, _), one in zip(settings.filters, filters, strict=True)]
        snapshot.early = self._watched(snapshot.early, [name for early, name in names if early])
        snapshot.filters = self._watched(snapshot.filters, [name for early, name in names if not early])
        self.exchange = Exchange(snapshot, question.head(host))
        self.response: Response | None = None
        """What the gateway itself answers."""
        self.forward: Forward | None = None
        """Where it goes on."""
        asyncio.run(self._run(question.body))

    @property
    def request(self) -> Request:
        """The request, as the filters have left it."""
        return self.exchange.request

    @property
    def by(self) -> str:
        """Who has answered it."""
        last = self.steps[-1] if self.steps else None
        return f"the filter `{last.filter}`" if last is not None and last.did in ("answered", "refused") else "the gateway itself"

    def _watched(self, handlers: Iterable[Handler], names: list[str]) -> tuple[Handler, ...]:
        made: list[Handler] = []
        for at, handler in enumerate(handlers):
            kind = type(handler).__name__
            made.append(_Watched(handler, names[at] if at < len(names) else _OURS.get(kind, kind), self.steps))
        return tuple(made)

    async def _run(self, body: bytes) -> None:
        """As the gate does it."""
        intake = self.exchange.intake
        self.response = await intake.begin()
        if self.response is not None:
            return
        self.response = await intake.proceed(body if self.request.endpoint.buffered else b"")
        if self.response is not None:
            return
        try:
            if self.request.bulky:
                await intake.prepare()
            self.forward = intake.forward()
        except Reject as reject:
            self.response = self.exchange.delivery.refuse(reject.fault, dict(reject.headers))


class _Watched:
    """A filter of which is noted what it does."""

    def __init__(self, handler: Handler, name: str, steps: list[Step]) -> None:
        self._handler = handler
        self._name = name
        self._steps = steps

    async def request(self, request: Request) -> Response | Tap | None:
        before, did = request.targets, "refused"
        try:
            outcome = await self._handler.request(request)
            did = "passed" if outcome is None else "follows" if isinstance(outcome, Tap) else "answered"
        finally:
            left = tuple(f"{one.provider}/{one.model}" for one in before if one not in request.targets)
            self._steps.append(Step(self._name, did, left))
        return outcome
