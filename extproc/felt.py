"""Follows one request for the strategies that want to know: which target it is at, and how long that takes."""

import time
from collections.abc import Callable, Mapping

from extproc.filter import Tap
from extproc.pulse import Pulse, size_class
from extproc.size import input_tokens
from extproc.standing.verdict import meaning
from extproc.tried import Tried, only
from extproc.values import Request, Response, Target

_ANSWERS = 200
"""The first status of an answer: before it, a protocol is changed."""


class Felt(Tap):
    """One request, from when it was routed to its end. It is at the target that it begins with until the answer says otherwise."""

    passes = True

    def __init__(self, request: Request, pulses: Mapping[Target, Pulse], clock: Callable[[], float] = time.monotonic) -> None:
        """`pulses`: of all targets that it may go to, of which `request.targets` has the order."""
        self._pulses = pulses
        self._size = size_class(input_tokens(request.body))
        self._clock = clock
        self._began = clock()
        self._first = 0.0
        self._headed = 0.0
        self._at: Pulse | None = None
        self._answers: Pulse | None = None
        """Who gives an answer whose end is awaited."""
        self._move(pulses.get(request.targets[0]))

    def _move(self, pulse: Pulse | None) -> None:
        if self._at is not None:
            self._at.busy -= 1
        self._at = pulse
        if pulse is not None:
            pulse.busy += 1

    def start(self, response: Response) -> None:
        """See `Tap.start`."""
        if response.target is None or response.origin not in ("provider", "envoy"):
            return
        now = self._clock()
        for one in response.tried or (only(response, response.target, response.reason, now - self._began),):
            if (pulse := self._pulses.get(Target(one.provider, one.model))) is not None:
                self._take(pulse, one, now)
        self._move(self._pulses.get(response.target))

    def _take(self, pulse: Pulse, one: Tried, now: float) -> None:
        means = meaning(one.status, one.reason)
        if means is None and one.status >= _ANSWERS:
            pulse.first[self._size].felt(one.first, now)
            self._answers, self._first, self._headed = pulse, one.first, now
        elif means == "nothing" and one.reason:
            # Nobody waited any more, or it was our own doing.
            pulse.first[self._size].at_least(one.first, now)
        elif means not in (None, "request", "credential"):
            pulse.failed(self._size, now, one.first)

    async def end(self, response: Response) -> None:
        """See `Tap.end`."""
        now = self._clock()
        if self._answers is not None and response.finished:
            self._answers.whole[self._size].felt(self._first + now - self._headed, now)
        elif self._answers is not None and response.ended == "provider_broke":
            self._answers.failed(self._size, now, self._first + now - self._headed)
        elif self._at is not None and not response.status and not self._headed:
            # Nobody waited for an answer any more.
            self._at.first[self._size].at_least(now - self._began, now)
        self._move(None)
