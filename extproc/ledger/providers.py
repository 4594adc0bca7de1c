"""Metrics of providers, beside what becomes of requests and attempts: their access tokens, health checks, and Envoy's own bounds."""

from prometheus_client import CollectorRegistry

from extproc.ledger.named import Named

_WHO = ("provider",)


class ProviderMetrics:
    """Each is told as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        named = Named(registry)
        gauge, counter = named.gauge, named.counter
        self._full = gauge("provider_full", "1: Envoy refuses requests to it, because too many are under way.", _WHO)
        self._token = gauge("provider_token_expires_timestamp_seconds", "When a provider's access token ends.", _WHO)
        self._token_failures = counter("provider_token_failures_total", "Times that no access token was to be had.", _WHO)
        self._healthy = gauge("provider_healthy", "1: a provider's health checks succeed. 0: they fail.", _WHO)
        self._checks = counter("provider_health_checks_total", "Health checks of providers, by what came of them.", (*_WHO, "result"))

    def full(self, provider: str, is_full: bool) -> None:
        """Tell whether Envoy refuses requests to a provider, from its statistics."""
        self._full.labels(provider).set(is_full)

    def token(self, provider: str, until: float) -> None:
        """Tell when a provider's access token ends, in seconds since the epoch."""
        self._token.labels(provider).set(until)

    def token_failed(self, provider: str) -> None:
        """Tell that a provider's access token could not be renewed."""
        self._token_failures.labels(provider).inc()

    def checked(self, provider: str, *, healthy: bool | None, failed: bool) -> None:
        """Tell what came of a provider's health check, and whether it is healthy now, where that is known."""
        self._checks.labels(provider, "failed" if failed else "succeeded").inc()
        if healthy is not None:
            self._healthy.labels(provider).set(healthy)

    def forget_health(self, provider: str) -> None:
        """Drop the gauge of a provider that is not checked any more."""
        self._healthy.remove_by_labels({"provider": provider})
