"""Bounds of clusters, which are to bound nothing: how much may be under way is said elsewhere."""

from envoy_data_plane.envoy.config.cluster.v3 import CircuitBreakers, CircuitBreakersThresholds

from extproc.config.model import Config


def breakers(config: Config) -> CircuitBreakers:
    """Room for as many streams, connections and retries as there may be requests."""
    # Envoy's default of 1024 would count long streams as overload, its default of 3 retries would undo every bridge and fallback.
    most = config.limits.concurrent_requests
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(max_connections=most, max_pending_requests=most, max_requests=most, max_retries=most),
        ]
    )
