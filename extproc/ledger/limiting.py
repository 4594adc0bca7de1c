"""Metrics of limits and budgets. Rules of the configuration go by their names, those of identities by the kind of their level."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter

from extproc.ledger.named import Named

DECISIONS = ("granted", "refused")


class LimitMetrics:
    """In a registry of others'. Money is in US dollars."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        self._used = named.gauge("limit_used", "What is used, or reserved, of a rule that has one counter. Money in US dollars.", ("rule",))
        self._amount = named.gauge("limit_amount", "What may be used of such a rule.", ("rule",))
        self._refused = named.counter("limit_refused_total", "Requests that limits and budgets have refused, by rule.", ("rule",))
        self._crossed = named.counter("limit_thresholds_total", "Thresholds of limits and budgets that were reached, by rule.", ("rule",))
        self._alone = named.counter(
            "limit_alone_total", "Requests that a worker decided by itself, since those who count could not be asked.", ("decision",)
        )
        self._unsettled = named.gauge("limit_unsettled", "Requests whose use is in the ledger, and not told to those who count yet.")
        for decision in DECISIONS:
            self._alone.labels(decision)
        self._seen: dict[tuple[str, str], Mapping[str, int]] = {}

    def stand(self, rules: Mapping[str, tuple[float, float]], unsettled: int) -> None:
        """Tell how rules stand: what is used, and may be."""
        self._used.clear()
        self._amount.clear()
        for rule, (used, amount) in rules.items():
            self._used.labels(rule).set(used)
            self._amount.labels(rule).set(amount)
        self._unsettled.set(unsettled)

    def crossed(self, times: Mapping[str, int]) -> None:
        """Tell how often rules have reached thresholds, in all."""
        self._add(self._crossed, ("", "crossed"), times)

    def tell(self, worker: str, refused: Mapping[str, int], alone: Mapping[str, int]) -> None:
        """Tell what a worker has seen since it began."""
        self._add(self._refused, (worker, "refused"), refused)
        self._add(self._alone, (worker, "alone"), alone)

    def _add(self, counter: Counter, seen: tuple[str, str], now: Mapping[str, int]) -> None:
        before = self._seen.get(seen, {})
        for name, count in now.items():
            was = before.get(name, 0)
            # One that was started again begins at none.
            counter.labels(name).inc(count - was if count >= was else count)
        self._seen[seen] = dict(now)
