"""What comes after an attempt that failed: the same target again, the next one, one that is named for such a refusal, or nobody.

Envoy walks a list of targets, one an attempt, and goes on after whatever has no answer. What has one is judged here, in the adapter, before
Envoy sees its head: it may be made one that Envoy tries again, or one that it does not, and the rest of the list may be another one.
"""

from collections.abc import Callable, Sequence
from random import random
from typing import NamedTuple

from msgspec import Struct

from extproc.config.model import Model, split_target
from extproc.config.retries import Retries
from extproc.values import Target

USUAL = Retries()
STOP = "x-envoy-ratelimited"
"""The header of an answer after which Envoy asks nobody else, whatever its status (RetryStateImpl::wouldRetryFromHeaders)."""
_SERVER_ERRORS = 500

# What Envoy goes on after (`x-envoy-retry-on`). Which statuses are worth another target beside server's errors is the route's to say
# (`retriable_status_codes`).
_ALL = "5xx,reset,connect-failure,refused-stream,retriable-status-codes"
_UNSEEN = "connect-failure,refused-stream,retriable-status-codes"
"""What no provider has seen, and what the adapter says."""
_TOLD = "retriable-status-codes"
"""What the adapter says: there is an answer, or else nothing is worth another attempt."""
_AGAIN = {_ALL: 503, _UNSEEN: 409, _TOLD: 409}
"""The status by which the adapter says it. To Envoy silence is a server's error; so where it is not to go on after that, it is told of no
such error either.
"""
_BESIDE = 10.0
"""Requests that may ask again whatever share that is."""
_REMEMBERED = 4096
"""Targets of which it is remembered how often they were asked again. Clients may make up names."""
CONTEXT_LENGTH, CONTENT_POLICY = "context_length_exceeded", "content_filter"


class Refusals(Struct, frozen=True, omit_defaults=True):
    """Targets that are asked when one refuses a request for what it is."""

    length: tuple[Target, ...] = ()
    """It is too long."""
    policy: tuple[Target, ...] = ()
    """It says what is not to be said."""

    def after(self, reason: str) -> tuple[Target, ...]:
        """Those that are named for a refusal with this code."""
        return self.length if reason == CONTEXT_LENGTH else self.policy if reason == CONTENT_POLICY else ()

    @property
    def most(self) -> int:
        """How many there may be: one that is asked for the one refusal may give the other."""
        return len({*self.length, *self.policy})

    @property
    def longest(self) -> int:
        """How many may be asked for one refusal."""
        return max(len(self.length), len(self.policy))


class More(NamedTuple):
    """What there may be beside one attempt at each target."""

    attempts: int = 0
    retry_on: str = _ALL
    """See `Retrying.retry_on`."""


class Retrying(Struct, frozen=True, omit_defaults=True):
    """What is to be done after a request's failed attempts, where that is not what Envoy does by itself."""

    retries: Retries = USUAL
    refusals: Refusals = Refusals()
    until: float = 0.0
    """When the last attempt may begin, in seconds since the epoch; 0: whenever."""
    only: bool = False
    """There is one target, asked once for each of several keys, beside those that are named for refusals."""
    model: str = ""
    """The configured model, a name or a pattern, whatever the client called it: budgets go by it."""

    @property
    def watches(self) -> bool:
        """The adapter is needed even where there is one target: it may be asked again, or another one in its place."""
        return self.retries.again > 0 or self.refusals.most > 0

    @property
    def retry_on(self) -> str:
        """What Envoy goes on after."""
        if not self.retries.no_answer:
            return _TOLD
        # What gives no answer is asked nothing more where the next attempt would be at the same target. Of several that are named for one
        # refusal the next one is worth asking then, and Envoy knows no difference.
        return _UNSEEN if self.only and not self.retries.again and self.refusals.longest <= 1 else _ALL

    @property
    def again(self) -> int:
        """The status of an answer that Envoy is to go on after, whatever the provider gave it."""
        return _AGAIN[self.retry_on]

    @property
    def more(self) -> More:
        """What Envoy is told of it."""
        return More(self.refusals.most, self.retry_on)


UNSAID = Retrying()
"""What is done where nothing is said of it."""


class Turn(NamedTuple):
    """Whom an attempt asks."""

    target: Target
    key: str = ""
    """Name of the provider's key, where it has several."""


class Next(NamedTuple):
    """What follows an attempt that failed with an answer."""

    goes_on: bool
    """There is another one."""
    pause: float = 0.0
    """Seconds until it begins."""
    turns: tuple[Turn, ...] | None = None
    """All attempts, those before it as well, where the list is another one from now on."""
    passed: tuple[Target, ...] = ()
    """Who would have been next, and has no room."""


def retrying_of(model: Model, retries: Retries) -> Retrying | None:
    """What a model's requests follow; None where that is what Envoy does by itself. `retries`: those of all models."""
    own = model.retries or retries
    refusals = Refusals(
        *(tuple(Target(*split_target(name)) for name in names) for names in (model.on_context_length, model.on_content_policy))
    )
    return None if own == USUAL and not refusals.most else Retrying(own, refusals, model=model.name)


def planned(targets: Sequence[Target], retrying: Retrying) -> tuple[Target, ...]:
    """A target for each attempt: each as often as it may be asked. Attempts with other keys are such, too."""
    if retrying.only:
        return (targets[0],) * max(len(targets), 1 + retrying.retries.again)
    return tuple(target for target in targets for _ in range(1 + retrying.retries.again_among(len(targets))))


class Failed(NamedTuple):
    """An attempt that failed with an answer."""

    number: int
    """Of the attempt, from 1 on."""
    status: int
    """What it means, whatever the provider gave it."""
    reason: str
    """The fault's code."""
    resets: float = 0.0
    """Seconds after which the provider wants to be asked again; 0: it does not say."""
    by_key: bool = False
    """It is the key that failed, so that another one may do better."""


Says = Callable[[Target], bool]


def _yes(_: Target) -> bool:
    return True


def after(
    retrying: Retrying, turns: tuple[Turn, ...], failed: Failed, now: float, spare: Says, steps_in: Says = _yes, room: Says = _yes
) -> Next:
    """What follows one of these attempts that failed. `now`: seconds since the epoch; `spare`: whether a target may be asked again;
    `steps_in`: whether one that is named for a refusal may be asked; `room`: whether another one has room for the request.
    """
    # Where Envoy has come to the end of the list and had attempts left, it has asked the last one again.
    turns += turns[-1:] * (failed.number - len(turns))
    retries, so_far, rest = retrying.retries, turns[: failed.number], turns[failed.number :]
    if 0 < retrying.until < now:
        return Next(False)
    asked = {turn.target for turn in so_far}
    if named := tuple(Turn(one) for one in retrying.refusals.after(failed.reason) if one not in asked and steps_in(one)):
        return Next(True, turns=so_far + named)
    if not rest or not (retries.server_errors if failed.status >= _SERVER_ERRORS else failed.status in retries.on):
        return Next(False)
    here, whole = so_far[-1], rest
    rest = tuple(one for one in rest if one.target == here.target or room(one.target))
    passed = tuple(dict.fromkeys(one.target for one in whole if one not in rest))
    if not rest:
        return Next(False, passed=passed)
    following, changed = rest[0], so_far + rest if passed else None
    if following.target != here.target or (failed.by_key and following.key != here.key):
        return Next(True, turns=changed, passed=passed)
    # Else the target may be there once more for other keys' sake alone.
    again = _times(so_far) <= retries.again
    pause = max(pause_after(retries, so_far), failed.resets)
    if again and pause <= retries.longest and not 0 < retrying.until < now + pause and spare(here.target):
        return Next(True, pause, turns=changed)
    others = tuple(one for one in rest if one.target != here.target or (failed.by_key and one.key != here.key))
    return Next(True, turns=so_far + others, passed=passed) if others else Next(False, passed=passed)


def pause_after(retries: Retries, so_far: Sequence[Turn]) -> float:
    """Seconds to wait before the last one is asked again: longer each time, and never all requests at once."""
    most = min(retries.longest, retries.pause * 2.0 ** (_times(so_far) - 1))
    return most * (1 + random()) / 2  # noqa: S311 - jitter


def _times(so_far: Sequence[Turn]) -> int:
    """How often the last target has been asked."""
    return sum(turn.target == so_far[-1].target for turn in so_far)


class Budgets:
    """How often targets may still be asked again by this worker: each request adds its share, each repetition takes one."""

    def __init__(self) -> None:
        self.spent = 0
        """Attempts that it has not allowed."""
        self._left: dict[Target, float] = {}
        """Of those that have been asked again; whoever was asked last is the last of them."""

    def __len__(self) -> int:
        """Targets that are remembered."""
        return len(self._left)

    def asked(self, target: Target, share: float) -> None:
        """A request asks the target for the first time."""
        left = self._left.pop(target, _BESIDE) + share
        if left < _BESIDE:
            self._left[target] = left

    def take(self, target: Target) -> bool:
        """Whether it may be asked again; then it counts."""
        left = self._left.get(target, _BESIDE)
        if left < 1:
            self.spent += 1
            return False
        if target not in self._left and len(self._left) >= _REMEMBERED:
            del self._left[next(iter(self._left))]
        self._left[target] = left - 1
        return True
