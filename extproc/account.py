"""An attempt's account of itself: the gate is told aside what its answer costs and what came of it, and so is this worker."""

import time

from msgspec.structs import replace

from extproc.answering import Answering
from extproc.attempt import Attempt
from extproc.dialects.failing import code_for
from extproc.engine import Engine
from extproc.tried import BROKEN_OFF, STOPPED, Tried, encode, metadata_key
from extproc.use import TELL_EVERY, USE_KEY, Use
from extproc.values import BodyMode

_ERRORS = 400

Told = dict[str, str | bytes]
"""Metadata for the gate."""


class Account:
    """Of one attempt."""

    __slots__ = ("_began", "_engine", "_told", "_told_at", "cluster", "number", "tried", "unsaid")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began = time.monotonic()
        self._told: Use | None = None
        self._told_at = 0.0
        self.cluster, self.number = "", 0
        """Where Envoy has sent the attempt, and which one it is."""
        self.tried: Tried | None = None
        """What came of it, as far as it has been told."""
        self.unsaid = ""
        """The body of an error that came as a head alone."""

    def refused(self, code: str) -> Told:
        """There is no answer, for a reason of ours."""
        return {USE_KEY: Use(self.cluster, self.number, error=code).encode()}

    def head(self, attempt: Attempt, answering: Answering, status: int, *, whole: bool) -> Told:
        """The answer's head goes out, so it is known what came of the attempt. `status`: the provider's own; `whole`: it is over, too."""
        target, took = attempt.target, round(time.monotonic() - self._began, 4)
        reason = answering.error or (code_for(answering.status) if answering.status >= _ERRORS else "")
        self.tried = tried = Tried(
            target.provider, target.model, status, reason, attempt.key, took, took if whole else 0.0, answering.resets
        )  # fmt: skip
        self._engine.hear(tried)
        return {metadata_key(self.number): encode(tried)}

    def end(self, attempt: Attempt, answering: Answering) -> None:
        """An answer whose head had gone is over."""
        broken = not answering.finished and answering.mode is not BodyMode.NONE
        self._over(attempt, answering, answering.error or (BROKEN_OFF if broken else ""))

    def break_off(self, attempt: Attempt, answering: Answering, reason: str) -> None:
        """An answer whose head has gone cannot go on, and that is its provider's doing."""
        self._over(attempt, answering, reason)
        self.tried = None

    def drop(self) -> None:
        """The same, where it is our own doing, which is told to nobody."""
        self.tried = None

    def stop(self, attempt: Attempt, answering: Answering) -> None:
        """Envoy has closed the stream. Of what is not read, nobody knows whether that was its end."""
        if answering.mode is not BodyMode.NONE:
            self._over(attempt, answering, STOPPED)

    def _over(self, attempt: Attempt, answering: Answering, reason: str) -> None:
        """Tells the end of what was told at its head to answer."""
        tried = self.tried
        if tried is None or tried.whole or tried.failed:
            return
        id = attempt.call.id if reason == STOPPED else ""
        self.tried = replace(tried, reason=reason, whole=time.monotonic() - self._began, again=True, request=id)
        self._engine.hear(self.tried)

    def use(self, attempt: Attempt, answering: Answering, rest: bytes = b"") -> Told:
        """What the gate is to know of the answer, if there is news. `rest`: see `Use.rest`."""
        told, now = self._told, time.monotonic()
        news = told is None or (told.usage, told.finished, told.error) != (answering.usage, answering.finished, answering.error)
        if not news and not rest and now - self._told_at < TELL_EVERY:
            return {}
        target = attempt.target
        self._told_at = now
        self._told = use = Use(
            self.cluster, self.number, target.provider, target.model, answering.answered, answering.usage, answering.text,
            answering.finished, answering.error, answering.amount, self.unsaid, rest,
        )  # fmt: skip
        return {USE_KEY: use.encode()}
