"""What a worker hears of its attempts, told to the control process: failures at once, answers summed up by the second."""

from collections.abc import Callable
from typing import Protocol

from extproc.standing.told import Heard
from extproc.standing.verdict import meaning
from extproc.standing.view import View
from extproc.tried import Tried

TOGETHER = 0.05
"""Seconds for which a failure waits for others, so that a hundred of the same moment are one message."""
SUMS_EVERY = 1.0
"""Seconds between two sums of what was answered."""
_MOST = 1024
"""What is told together at most."""
_NO_SUMS: dict[tuple[str, str], Heard] = {}


class Tells(Protocol):
    """A worker's line to the control process."""

    def tell(self, heard: list[Heard]) -> bool:
        """Tells what was heard. False: in vain."""

    def later(self, seconds: float, call: Callable[[], None]) -> object:
        """Calls it after so many seconds."""


class Ear:
    """One worker's. `hear` is for `Engine.ears`, or `hear_failure` where nobody has a breaker; `flush` for every `SUMS_EVERY` seconds."""

    def __init__(self, view: View, line: Tells) -> None:
        self._view = view
        self._line = line
        self._due = False
        self._heard: list[Heard] = []
        """In the order in which they were: a sum of answers ends with the next failure of the same provider, whose targets and keys have
        breakers of their own, so that an answer with one key ends the row of its target's failures with another one."""
        self._sums: dict[str, dict[tuple[str, str], Heard]] = {}
        """By provider, and by model and key."""

    def hear(self, tried: Tried) -> None:
        """An attempt is told of."""
        name = tried.provider, tried.model, tried.key
        if not tried.reason and tried.status:
            if self._view.troubled and self._view.concerns(*name):
                # One answer is one probe. Where its beginning was not told, it is older than the trouble, and shows nothing of it.
                if not tried.again:
                    self._add(tried)
            elif not tried.whole:
                return  # it will be told again at its end
            elif (known := self._sums.get(tried.provider, _NO_SUMS).get(name[1:])) is not None:
                known.times += 1
            else:
                made = self._sums.setdefault(tried.provider, {})[name[1:]] = Heard(*name, tried.status)
                self._heard.append(made)
            return
        self._sums.pop(tried.provider, None)
        self._add(tried)

    def hear_failure(self, tried: Tried) -> None:
        """The same, where only what has failed is worth telling: the log says of it what Envoy knows."""
        if tried.reason or not tried.status:
            self._add(tried)

    def _add(self, tried: Tried) -> None:
        """Is told soon."""
        took = tried.whole or tried.first
        self._heard.append(
            Heard(
                tried.provider, tried.model, tried.key, tried.status, tried.reason, tried.resets, took,
                request=tried.request, mirror_of=tried.mirror_of,
            )
        )  # fmt: skip
        if len(self._heard) >= _MOST:
            self.flush()
        elif not self._due:
            self._due = True
            self._line.later(TOGETHER, self.flush)

    def flush(self) -> None:
        """Tells what there is."""
        self._due = False
        heard, self._heard = self._heard, []
        self._sums.clear()
        if heard and not self._line.tell(heard):
            for one in heard:
                means = meaning(one.status, one.reason)
                if means != "nothing":
                    self._view.alone(one.provider, one.model, one.key, good=means in (None, "request", "limited"))
