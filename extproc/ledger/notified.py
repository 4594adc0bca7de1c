"""Metrics of notifications."""

from collections.abc import Mapping
from typing import Literal

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named

Result = Literal["sent", "failed", "given_up", "dropped"]
"""`failed`: an attempt; it is tried again."""


class NotificationMetrics:
    """By the receiver's name in the configuration."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        self._results = named.counter("notifications_total", "Notifications, by what came of them.", ("receiver", "result"))
        self._waiting = named.gauge("notifications_waiting", "Notifications that are still to be delivered.", ("receiver",))

    def count(self, receiver: str, result: Result, times: int = 1) -> None:
        """Tell what came of some."""
        self._results.labels(receiver, result).inc(times)

    def waiting(self, waiting: Mapping[str, int]) -> None:
        """Tell how many each receiver still has to get."""
        self._waiting.clear()
        for receiver, count in waiting.items():
            self._waiting.labels(receiver).set(count)
