"""Tokens that Envoy itself checks (`jwt_authn`), before the gate: it says what was in a good one, and lets everybody through.

Who is let in is the gate's to decide, as always, so that a refusal has the form of the client's dialect, and virtual keys go on counting.
"""

from datetime import timedelta
from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.core.v3 import DataSource, HttpUri
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtAuthentication,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    PerRouteConfig,
    RemoteJwks,
    RequirementRule,
)
from envoy_data_plane.google.protobuf import Empty

from extproc.config.callers import Issuer
from extproc.config.model import Config
from extproc.crossing import CREDENTIALS
from extproc.envoy import names
from extproc.envoy.message import Plain, extension, typed

_FETCH = timedelta(seconds=3)
_ALL = "any"
"""The requirement: a token of one of the issuers, or none, or one that is not good."""


def checked_by_envoy(config: Config) -> list[Issuer]:
    """Those whose tokens Envoy checks by a filter of ours."""
    return [one for one in config.callers.jwt if one.verify == "envoy"]


def vouches(config: Config) -> bool:
    """Whether the gate is told what Envoy has found in tokens."""
    return any(one.verify != "gateway" for one in config.callers.jwt)


def token_filter(config: Config) -> list[Plain]:
    """The filter, where one is wanted."""
    issuers = checked_by_envoy(config)
    if not issuers:
        return []
    known = [JwtRequirement(provider_name=_name(at)) for at in range(len(issuers))]
    either = JwtRequirement(
        requires_any=JwtRequirementOrList(requirements=[*known, JwtRequirement(allow_missing_or_failed=Empty())])
    )  # fmt: skip
    message = JwtAuthentication(
        providers={_name(at): _provider(at, issuer) for at, issuer in enumerate(issuers)},
        requirement_map={_ALL: either},
        rules=[RequirementRule(match=RouteMatch(prefix="/"), requirement_name=_ALL)],
    )
    return [extension(names.TOKEN_FILTER, message)]


def enabled(config: Config) -> Plain:
    """A route's `typed_per_filter_config` that switches the filter on."""
    return {names.TOKEN_FILTER: typed(PerRouteConfig(requirement_name=_ALL))} if checked_by_envoy(config) else {}


def _name(at: int) -> str:
    return f"issuer-{at}"


def cluster_of(at: int) -> str:
    """The name of the cluster by which Envoy fetches the keys of the issuer at that place among `checked_by_envoy`."""
    return f"headgate.issuer.{at}"


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _provider(at: int, issuer: Issuer) -> JwtProvider:
    provider = JwtProvider(
        issuer=issuer.issuer,
        audiences=list(issuer.audiences),
        # The gate looks whether there is one, and takes it off itself.
        forward=True,
        from_headers=[JwtHeader(name=name, value_prefix="Bearer " if name == "authorization" else "") for name in CREDENTIALS],
        payload_in_metadata=issuer.payload,
        clock_skew_seconds=round(issuer.leeway),
        require_expiration=True,
    )
    if issuer.jwks_url is None:
        provider.local_jwks = DataSource(inline_string=issuer.jwks or "")
    else:
        where = HttpUri(uri=issuer.jwks_url, cluster=cluster_of(at), timeout=_FETCH)
        # Envoy does not read `cache-control`, and does not ask again because of a key that it does not know.
        provider.remote_jwks = RemoteJwks(http_uri=where, cache_duration=timedelta(seconds=issuer.refresh.least))
    return provider
