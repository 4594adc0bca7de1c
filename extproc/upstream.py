"""A provider made ready: where it is, what it speaks, and the headers that it alone gets."""

from urllib.parse import quote

from msgspec import Struct

from extproc.config.model import HeaderEdits, Provider, Timeouts
from extproc.config.urls import provider_url
from extproc.crossing import CREDENTIALS
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect
from extproc.envoy.names import cluster_name


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
    names: tuple[tuple[str, ...], ...]
    """Of the headers that it always gets, of those that `request` sets, and of those that it removes: what can be remembered without a
    credential."""

    paths: dict[tuple[str, bool], str]
    """Where it is asked for an operation, streamed or not; `{model}` stands for the model's name."""

    def path(self, client_path: str, root: str) -> str:
        """The provider's path for a client's: `/v1/files?x=1` becomes `/openai/v1/files?x=1`. `root`: of the client's dialect."""
        return _joined(self.prefix, client_path, root)

    def place(self, kind: str, model: str, *, stream: bool) -> str | None:
        """The path where it is asked for an operation; None for what is no operation of its dialect."""
        path = self.paths.get((kind, stream))
        return path.replace("{model}", quote(model, safe="")) if path is not None and "{" in path else path

    def names_model(self, kind: str) -> bool:
        """Whether the path names the model rather than the body."""
        return "{model}" in self.paths.get((kind, False), "")


def _joined(prefix: str, path: str, root: str) -> str:
    rest = path.removeprefix(root)
    return prefix + (rest if rest[:1] in ("", "/", "?") else path)


def _paths(dialect: Dialect, prefix: str) -> dict[tuple[str, bool], str]:
    places = [place for place in reversed(dialect.places) if place.kind in dialect.operations]
    return {
        (place.kind, stream): _joined(prefix, place.path, dialect.root)
        for place in places
        for stream in (False, True)
        if place.stream in (None, stream)
    }


def compile_upstream(name: str, provider: Provider, alias: str = "") -> Upstream:
    """The provider `name`, ready for traffic. The configuration is known to be good. `alias`: its name in Envoy, if that is another."""
    dialect = DIALECTS[provider.dialect]
    url = provider_url(provider)
    headers = tuple(pair for pair in dialect.credential(provider.key or "") if provider.key or pair[0] not in CREDENTIALS)
    edits = provider.headers.request
    return Upstream(
        name=name,
        cluster=cluster_name(alias or name),
        dialect=dialect,
        authority=url.authority,
        prefix=url.prefix,
        headers=headers,
        request=edits,
        response=provider.headers.response,
        timeouts=provider.timeouts,
        paths=_paths(dialect, url.prefix),
        names=(tuple(name for name, _ in headers), tuple(edits.set), tuple(edits.remove)),
    )
