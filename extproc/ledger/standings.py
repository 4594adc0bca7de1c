"""Metrics of how targets and keys stand."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named
from extproc.standing.board import Change
from extproc.standing.breaker import State
from extproc.standing.cooling import Name
from extproc.standing.told import Stand

_STATES: dict[str, int] = {"closed": 0, "open": 1, "half_open": 2}
_WHO = ("provider", "model", "key")

Known = Callable[[Name], bool]


class StandingMetrics:
    """`model` is what the provider calls it, where the configuration names it; `*` for all names that callers give."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        gauge, counter = named.gauge, named.counter
        self._breaker = gauge("circuit_breaker_state", "Of a target, or a key: 0 closed, 1 open, 2 half open.", _WHO)
        self._cooling = gauge("cooling", "1: it has answered 429, and is not asked for now.", _WHO)
        self._changes = counter("circuit_breaker_changes_total", "Times that a breaker has changed, by what it became.", (*_WHO, "state"))
        self._probes = counter("circuit_breaker_probes_total", "Requests that were to try whether a target answers again.", ("provider",))
        self._failures = counter("attempt_failures_total", "Attempts that failed, by what that means.", ("provider", "reason"))
        self._known: frozenset[Name] = frozenset()

    def follow(self, targets: Iterable[Name]) -> None:
        """These are the targets that the configuration names."""
        self._known = frozenset(targets)
        self.show((), ())

    def failed(self, provider: str, reason: str, times: int) -> None:
        """Attempts have."""
        self._failures.labels(provider, reason).inc(times)

    def changed(self, changes: Iterable[Change]) -> None:
        """Breakers have."""
        for change in changes:
            if change.state != "cooling":
                self._changes.labels(*self._label(change.name), change.state).inc()

    def probed(self, provider: str) -> None:
        """A request was given a probe."""
        self._probes.labels(provider).inc()

    def show(self, states: Iterable[tuple[Name, State]], stands: Iterable[Stand]) -> None:
        """How all stand. Of names that callers give, the worst is shown."""
        shown = dict.fromkeys(self._known, 0)
        for name, state in states:
            label = self._label(name)
            shown[label] = max(shown.get(label, 0), _STATES[state], key=lambda one: (one != 0, one == 1))
        self._breaker.clear()
        for name, value in shown.items():
            self._breaker.labels(*name).set(value)
        self._cooling.clear()
        for stand in stands:
            if stand.state in ("cooling", "limited"):
                self._cooling.labels(*self._label(stand.name)).set(1)

    def _label(self, name: Name) -> Name:
        target = name._replace(key="")
        return name if not name.model or target in self._known else name._replace(model="*")
