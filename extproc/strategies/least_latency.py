"""The quickest: by what answers have taken lately, and by how many are awaited."""

import time
from collections.abc import Callable, Sequence
from math import inf
from random import random
from typing import ClassVar, Literal

from extproc.pulse import Pulse, size_class
from extproc.size import input_tokens
from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request


class LeastLatency(Strategy, frozen=True, kw_only=True):
    """Begins with the target that is expected to answer first: by the times of this worker's last requests of the same size, times the
    requests that are under way there. A target that nothing is known of is tried first, by one request at a time; what was slow is
    forgotten by and by, and tried again.
    """

    needs_pulse: ClassVar[bool] = True
    heeds: ClassVar[tuple[float, ...] | None] = (0, 1)

    of: Literal["first_token", "whole"] = "first_token"
    """What is to take least: the time to the first token, or to the end of the answer. The first token of what is not streamed comes with
    its head."""

    def open(self) -> Order:
        """See `Strategy.open`."""
        return Quickest(whole=self.of == "whole")


class Quickest:
    """Compares."""

    def __init__(self, *, whole: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """`whole`: by the whole answer. `clock`: the one of the pulses."""
        self._whole = whole
        self._clock = clock

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Order.arrange`."""
        now, size = self._clock(), size_class(input_tokens(request.body))
        waits = {id(one): self._wait(one.pulse, size, now) for one in candidates if one.pulse is not None}
        return sorted(candidates, key=lambda one: (not one.weight, waits.get(id(one), (inf, 0)), random()))  # noqa: S311

    def _wait(self, pulse: Pulse, size: int, now: float) -> tuple[float, int]:
        """Seconds until it would answer, and the requests there."""
        expected = (pulse.whole if self._whole else pulse.first)[size].seconds(now)
        if not expected:
            # Of what nobody knows, one request finds out; the others do not wait for it.
            return (inf if pulse.busy else -inf), pulse.busy
        return expected * (pulse.busy + 1), pulse.busy
