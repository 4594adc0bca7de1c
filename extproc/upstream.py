"""A provider made ready: where it is, what it speaks, and the headers that it alone gets."""

from collections.abc import Hashable
from typing import NamedTuple

from msgspec import Struct, field

from extproc.config.model import HeaderEdits, Provider, Timeouts
from extproc.config.urls import provider_url
from extproc.crossing import CREDENTIALS
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect
from extproc.envoy.names import cluster_name


class Cut(NamedTuple):
    """What becomes of a request's headers at a provider. It depends on their names alone, and holds nothing but names."""

    passing: tuple[str, ...]
    """Those of the client's that go on, but for what is set."""
    without: tuple[str, ...]
    """What is not set, though by our rules or for this provider it would be."""
    void: tuple[str, ...]
    """What must not reach the provider of what Envoy holds."""


class Upstream(Struct, frozen=True):
    """A provider, compiled from its section of the configuration."""

    name: str
    cluster: str
    """Its Envoy cluster."""
    dialect: Dialect
    authority: str
    """Host, and port unless it is the scheme's own."""
    prefix: str
    """Path that comes before an endpoint's own, such as `/v1`."""
    headers: tuple[tuple[str, str], ...]
    """Its credential and whatever else it always gets."""
    request: HeaderEdits
    response: HeaderEdits
    timeouts: Timeouts
    cuts: dict[Hashable, Cut] = field(default_factory=dict)
    """By whatever a cut depends on; `attempt` fills it, and bounds it. A client sends the same names with each request."""

    def path(self, client_path: str) -> str:
        """The provider's path for a client's: `/v1/chat/completions?x=1` becomes `/openai/v1/chat/completions?x=1`."""
        rest = client_path.removeprefix("/v1")
        return self.prefix + (rest if rest[:1] in ("", "/", "?") else client_path)


def compile_upstream(name: str, provider: Provider, alias: str = "") -> Upstream:
    """The provider `name`, ready for traffic. The configuration is known to be good. `alias`: its name in Envoy, if that is another."""
    dialect = DIALECTS[provider.dialect]
    url = provider_url(provider)
    return Upstream(
        name=name,
        cluster=cluster_name(alias or name),
        dialect=dialect,
        authority=url.authority,
        prefix=url.prefix,
        headers=tuple(pair for pair in dialect.credential(provider.key or "") if provider.key or pair[0] not in CREDENTIALS),
        request=provider.headers.request,
        response=provider.headers.response,
        timeouts=provider.timeouts,
    )
