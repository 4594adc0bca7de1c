"""The silences that requests may have: each has a route of its own, since Envoy takes such clocks from a route alone.

A route has two of them. `per_try_idle_timeout` is an attempt's own. It stops for good when the clock for the first byte has run out, even
where that byte came in time; what is shorter than the silence is such a clock, and then only the other one is left for the rest of the
answer: `idle_timeout`, the stream's, which goes on over all attempts.
"""

from collections.abc import Iterator

from msgspec import Struct

from extproc.config.model import Config, Model, Provider, aim
from extproc.config.timeouts import Timeouts, joined, patient
from extproc.envoy import names
from extproc.pool import ATTEMPTS
from extproc.retrying import Retrying, retrying_of

_BEHIND = 1.0
"""Seconds by which the stream's clock runs behind the attempt's, which names who was silent."""


class Silence(Struct, frozen=True):
    """Seconds."""

    attempt: float
    """Longest silence of an attempt, before the first byte and after it."""
    one: float
    """Longest silence of the whole, where there is one target."""
    several: float
    """The same where there are several: all of their attempts may fail to begin."""


def silences(config: Config) -> dict[str, Silence]:
    """By what the gate says for them (`names.idle_key`), the shortest first."""
    said = sorted(set(_said(config)), key=names.silence)
    attempts, pauses = _attempts(config)
    found: dict[str, Silence] = {}
    slowest = 0.0
    for one in said:
        # The target that begins last need not be the one that is silent for longest.
        slowest = max(slowest, one.first_byte)
        silence = names.silence(one)
        attempt, several = silence + names.BACKSTOP, max(silence, attempts * slowest + pauses) + names.BACKSTOP
        found[names.idle_key([one])] = Silence(attempt, attempt + _BEHIND, several + _BEHIND)
    return found


def _attempts(config: Config) -> tuple[int, float]:
    """How many there are at most before an answer begins, and the seconds between them."""
    plans = [retrying_of(model, config.retries) or Retrying() for model in config.models]
    most = [_asked(model, config) * (1 + plan.retries.again) + plan.refusals.most for model, plan in zip(config.models, plans, strict=True)]
    pauses = [many * plan.retries.longest for many, plan in zip(most, plans, strict=True) if plan.retries.again]
    return max(most, default=1), max(pauses, default=0.0)


def _asked(model: Model, config: Config) -> int:
    """How many attempts there are of the targets once each: the only one is asked with several keys."""
    keys = len(config.providers[aim(model.targets[0]).provider].keys) if len(model.targets) == 1 else 0
    return max(len(model.targets), min(keys, ATTEMPTS))


def _said(config: Config) -> Iterator[Timeouts]:
    """Of each provider, for what names no model, and of each target."""
    providers = config.providers
    yield from (provider.timeouts for provider in providers.values())
    for model in config.models:
        for target in map(aim, model.targets):
            for provider in _known(target.provider, config):
                yield patient(provider.timeouts, joined(model.timeouts, target.timeouts))


def _known(name: str, config: Config) -> Iterator[Provider]:
    """A provider as Envoy has it: one whose address has changed has another name there, and while a reload is under way both."""
    own = name.partition(names.BEHIND)[0]
    return (provider for known, provider in config.providers.items() if known.partition(names.BEHIND)[0] == own)
