"""Metrics of the issuers whose tokens are taken."""

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named

_WHO = ("issuer",)


class IssuerMetrics:
    """Each is told as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        self._keys = named.gauge("issuer_keys", "Public keys that an issuer of tokens has.", _WHO)
        self._fetched = named.gauge("issuer_keys_fetched_timestamp_seconds", "When an issuer's keys were last to be had.", _WHO)
        self._failures = named.counter("issuer_keys_failures_total", "Times that an issuer's keys were not to be had.", _WHO)

    def fetched(self, issuer: str, keys: int) -> None:
        """Tell that an issuer's keys have been fetched, and how many there are."""
        self._keys.labels(issuer).set(keys)
        self._fetched.labels(issuer).set_to_current_time()

    def failed(self, issuer: str) -> None:
        """Tell that an issuer's keys were not to be had."""
        self._failures.labels(issuer).inc()
