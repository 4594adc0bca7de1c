"""Metrics of the ledger's way to PostgreSQL."""

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named


class ShippingMetrics:
    """In a registry of others'."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        self._shipped = named.counter("ledger_shipped_total", "Changes of the ledger that were sent to PostgreSQL.")
        self._seconds = named.counter("ledger_shipping_seconds_total", "Seconds that this took.")
        self._waiting = named.gauge("ledger_unshipped", "Changes of the ledger that are still to be sent to PostgreSQL.")
        self._failed = named.counter("ledger_shipping_failures_total", "Times that PostgreSQL could not be sent to.")

    def shipped(self, changes: int, seconds: float) -> None:
        """Tell what was sent, and how long that took."""
        self._shipped.inc(changes)
        self._seconds.inc(seconds)

    def waiting(self, changes: int) -> None:
        """Tell how much is still to be sent."""
        self._waiting.set(changes)

    def failed(self) -> None:
        """It could not be sent to."""
        self._failed.inc()
