"""Routes: one way out, the clusters that the gate named, with the timeouts of the providers behind them."""

from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.type.matcher.v3 import MetadataMatcher, MetadataMatcherPathSegment, StringMatcher, ValueMatcher

from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.filters import unbuffered
from extproc.envoy.message import Plain, plain, untyped

RETRIABLE = [401, 402, 403, 404, 408, 409, 425, 429]
"""Statuses, beside 5xx, after which another provider may do better: its key, its quota, its models. The gate switches retries on."""

INTERNAL_HEADERS = ["x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address", "x-envoy-internal", "x-envoy-attempt-count"]
"""What Envoy adds for the gate and no provider needs to know."""

_QUIET = timedelta(hours=1)
"""Longest silence of a WebSocket. Other requests that the gate has not judged yet have the connection manager's patience."""


def route_configuration(config: Config) -> Plain:
    """The route configuration. Clusters are not checked: one does not exist on purpose, providers come and go."""
    return {"name": names.ROUTES, "virtual_hosts": [virtual_host(config)], "validate_clusters": False}


def virtual_host(config: Config) -> Plain:
    """Routes by the silence that the gate chose, once it has; before that by whether the body is JSON, which the gate reads."""
    silences = {names.idle_key([provider.timeouts]): names.silence(provider.timeouts) for provider in config.providers.values()}
    # Envoy's clock for the whole stream goes on over all attempts, so it has to leave each of them its time.
    attempts = max((len(model.targets) for model in config.models), default=1)
    routes = [_silence(key, timedelta(seconds=seconds), attempts) for key, seconds in sorted(silences.items(), key=lambda item: item[1])]
    upgrade = HeaderMatcher(name="upgrade", present_match=True)
    json = HeaderMatcher(name="content-type", string_match=StringMatcher(prefix="application/json", ignore_case=True))
    routes.append(_route("upgrade", RouteMatch(prefix="/", headers=[upgrade]), idle=_QUIET, typed_per_filter_config=unbuffered()))
    routes.append(_route("json", RouteMatch(prefix="/", headers=[json])))
    routes.append(_route("other", RouteMatch(prefix="/"), typed_per_filter_config=unbuffered()))
    # Both what may be buffered for the gate (more is 413) and what is kept for another attempt. It only ever raises the connection's
    # own limit, 1 MiB: the gate has to check a smaller one itself.
    host = VirtualHost(name=names.ROUTES, domains=["*"], request_body_buffer_limit=config.limits.request_body)
    return plain(host, request_headers_to_remove=INTERNAL_HEADERS, routes=routes)


def _silence(key: str, silence: timedelta, attempts: int) -> Plain:
    chosen = ValueMatcher(string_match=StringMatcher(exact=key))
    matcher = MetadataMatcher(filter=names.NAMESPACE, path=[MetadataMatcherPathSegment(key=names.IDLE)], value=chosen)
    # Envoy's clock for the whole stream runs behind the provider's, which names who was silent.
    return _route(f"silence-{key}", RouteMatch(prefix="/", dynamic_metadata=[matcher]), silence, attempts * silence + timedelta(minutes=1))


def _route(name: str, match: RouteMatch, silence: timedelta | None = None, idle: timedelta | None = None, **more: Plain) -> Plain:
    # Without retries unless the gate's x-envoy-retry-on says so. No pause: the next attempt goes to somebody else.
    retries = RetryPolicy(
        num_retries=0,
        per_try_idle_timeout=silence,
        retriable_status_codes=RETRIABLE,
        retry_back_off=RetryPolicyRetryBackOff(base_interval=timedelta(milliseconds=1), max_interval=timedelta(milliseconds=10)),
        refresh_cluster_on_retry=True,
    )
    action = plain(RouteAction(timeout=timedelta(0), idle_timeout=idle, retry_policy=retries), **_specifier())
    return {**plain(Route(name=name, match=match)), "route": action, **more}


def _specifier() -> Plain:
    # Needs Envoy 1.40. The groups here are what a request gets for which the gate named none.
    nobody = {"name": "none", "clusters": [{"cluster_name": names.NO_TARGET_CLUSTER, "weight": 1}]}
    specifier = untyped(
        "envoy.router.cluster_specifier_plugin.priority_group",
        "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier",
        override_metadata_namespace=names.TARGETS_NAMESPACE,
        priority_groups=[nobody],
    )
    return {"inline_cluster_specifier_plugin": {"extension": specifier}}
