"""Routes: nowhere, until the gate has judged a request; then to the targets that it named, with the timeouts of the providers there.

Envoy chooses twice. Before the gate it can only tell what the gate is to see of the body, and all those routes lead nowhere. The gate
names the targets, says so by metadata that nobody else can write, and has Envoy choose again:

- several targets: priority groups from metadata, and the adapter, which translates each attempt;
- one target: the cluster that a header names, and no adapter, for the gate itself has translated.

The routes without the adapter do not read the metadata, and those with it not the header. So whatever route a request gets, it reaches
no provider untranslated.
"""

from collections.abc import Sequence
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
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    StringMatcher,
    ValueMatcher,
)

from extproc.config.model import Config
from extproc.dialects.forms import MEDIA_TYPE
from extproc.endpoints import FORM_PATHS
from extproc.envoy import names
from extproc.envoy.api import api_routes
from extproc.envoy.chains import compiled_in
from extproc.envoy.filters import adapted, unbuffered
from extproc.envoy.fragments import their_routes
from extproc.envoy.message import Plain, plain, untyped
from extproc.envoy.sealed import any_sealed, cleaned
from extproc.envoy.silences import Silence, silences

INTERNAL_HEADERS = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-attempt-count",
    names.CLUSTER_HEADER,
]
"""What Envoy adds for the gate, or the gate for Envoy, and no provider needs to know."""

_OPENAIS = "|".join(path.removeprefix("/v1/") for path in FORM_PATHS)
# With a provider's name before it, or as Azure's clients ask (`deployments.py`).
FORMS = f"(?:/providers/[^/]+)?/(?:v1/|openai/(?:v1/|deployments/[^/]+/)?)(?:{_OPENAIS})"
"""Paths where forms name a model, as a regular expression."""

_UNSEEN = "connect-failure,refused-stream,reset-before-request"
"""What happens before a provider has seen anything of a request."""
_CHAIN: Plain = {"cluster_header": names.CLUSTER_HEADER}
"""Of several targets: a cluster that holds them all, for an Envoy before 1.40."""
_NEXT = "previous_priorities"
_NOWHERE = {"cluster": names.NO_TARGET_CLUSTER}

_QUIET = timedelta(hours=1)
"""Longest silence of a WebSocket. Other requests that the gate has not judged yet have the connection manager's patience."""


def route_configuration(config: Config) -> Plain:
    """The route configuration. Clusters are not checked: one does not exist on purpose, providers come and go."""
    return {"name": names.ROUTES, "virtual_hosts": [virtual_host(config)], "validate_clusters": False}


def virtual_host(config: Config) -> Plain:
    """All routes: those for requests that the gate has judged, and before that by whether the body is JSON, or a form that names a model,
    which the gate reads.
    """
    upgrade = HeaderMatcher(name="upgrade", present_match=True)
    json = HeaderMatcher(name="content-type", string_match=StringMatcher(prefix="application/json", ignore_case=True))
    form = HeaderMatcher(name="content-type", string_match=StringMatcher(prefix=MEDIA_TYPE, ignore_case=True))
    several = _CHAIN if compiled_in(config) else _targets()
    routes = [
        *api_routes(config),
        *(route for key, silence in silences(config).items() for route in _silence(key, silence, several)),
        *_judged("websocket", StringMatcher(exact=names.UPGRADED), several, idle=(_QUIET, _QUIET)),
        # A silence of which Envoy has not heard yet, or no more: the configuration changes at this moment.
        *_judged("judged", None, several),
        # After those of what has been judged: by now its path is the provider's, and may be like one of theirs.
        *their_routes(config),
        _route("upgrade", RouteMatch(prefix="/", headers=[upgrade]), _NOWHERE, idle=_QUIET, typed_per_filter_config=unbuffered()),
        _route("json", RouteMatch(prefix="/", headers=[json]), _NOWHERE),
        _route("form", RouteMatch(safe_regex=RegexMatcher(regex=FORMS), headers=[form]), _NOWHERE),
        _route("other", RouteMatch(prefix="/"), _NOWHERE, typed_per_filter_config=unbuffered()),
    ]
    if any_sealed(config):
        routes = [cleaned(route) for route in routes]
    # Both what may be buffered for the gate (more is 413) and what is kept for another attempt. It only ever raises the connection's
    # own limit, 1 MiB: the gate has to check a smaller one itself.
    host = VirtualHost(name=names.ROUTES, domains=["*"], request_body_buffer_limit=config.limits.request_body)
    return plain(host, request_headers_to_remove=INTERNAL_HEADERS, routes=routes)


def _silence(key: str, silence: Silence, several: Plain) -> list[Plain]:
    attempt, *whole = (timedelta(seconds=seconds) for seconds in (silence.attempt, silence.several, silence.one))
    return _judged(f"silence-{key}", StringMatcher(exact=key), several, attempt, whole)


def _judged(
    name: str, key: StringMatcher | None, way: Plain, silence: timedelta | None = None, idle: Sequence[timedelta | None] = (None, None)
) -> list[Plain]:
    """The two routes for what the gate sends on with this `idle`, or with any (None): for several targets, which go `way`, and for one.
    `idle`: of each, how long the whole may be silent.
    """
    said = _said(names.IDLE, ValueMatcher(present_match=True) if key is None else ValueMatcher(string_match=key))
    adapter = _said(names.ADAPTER, ValueMatcher(string_match=StringMatcher(exact=names.ADAPTER_ON)))
    several, one = RouteMatch(prefix="/", dynamic_metadata=[said, adapter]), RouteMatch(prefix="/", dynamic_metadata=[said])
    return [
        _route(f"{name}-adapter", several, way, silence, idle[0], typed_per_filter_config=adapted()),
        _route(name, one, {"cluster_header": names.CLUSTER_HEADER}, silence, idle[1]),
    ]


def _said(key: str, value: ValueMatcher) -> MetadataMatcher:
    return MetadataMatcher(filter=names.NAMESPACE, path=[MetadataMatcherPathSegment(key=key)], value=value)


def _route(
    name: str, match: RouteMatch, way: Plain, silence: timedelta | None = None, idle: timedelta | None = None, **more: Plain
) -> Plain:
    # For several targets x-envoy-retry-on says what is retried. No pause: the next attempt goes to somebody else. The only target
    # is asked once more if it cannot have seen the request.
    several, one = "inline_cluster_specifier_plugin" in way, "cluster_header" in way
    retries = RetryPolicy(
        retry_on=_UNSEEN if one else "",
        num_retries=int(one),
        per_try_idle_timeout=silence,
        retriable_status_codes=names.RETRIABLE,
        retry_back_off=RetryPolicyRetryBackOff(base_interval=timedelta(milliseconds=1), max_interval=timedelta(milliseconds=10)),
        # The next of the targets. A single one is named by a header, which is gone by then.
        refresh_cluster_on_retry=several,
    )
    action = plain(RouteAction(timeout=timedelta(0), idle_timeout=idle, retry_policy=retries), **way)
    if way is _CHAIN:
        # The next of the chain.
        following = untyped(f"envoy.retry_priorities.{_NEXT}", f"envoy.extensions.retry.priority.{_NEXT}.v3.PreviousPrioritiesConfig")
        following["typed_config"]["update_frequency"] = 1
        action["retry_policy"]["retry_priority"] = following
    return {**plain(Route(name=name, match=match)), "route": action, **more}


def _targets() -> Plain:
    # Needs Envoy 1.40. The groups here are what a request gets for which the gate named none.
    nobody = {"name": "none", "clusters": [{"cluster_name": names.NO_TARGET_CLUSTER, "weight": 1}]}
    specifier = untyped(
        "envoy.router.cluster_specifier_plugin.priority_group",
        "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier",
        override_metadata_namespace=names.TARGETS_NAMESPACE,
        priority_groups=[nobody],
    )
    return {"inline_cluster_specifier_plugin": {"extension": specifier}}
