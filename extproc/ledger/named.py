"""How the gateway's metrics are made: all have its prefix, and one registry."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "ai_proxy_"


class Named:
    """Makes metrics in one registry. Names are given without the prefix; Prometheus adds `_total` to a counter's that lacks it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Counts up."""
        return Counter(_PREFIX + name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Says how much there is."""
        return Gauge(_PREFIX + name, text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        """Says how values are spread. `buckets`: their upper bounds."""
        return Histogram(_PREFIX + name, text, labels, buckets=buckets, registry=self._registry)
