"""A provider made ready: where it is, what it speaks, and the headers that it alone gets."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import quote

import msgspec
from msgspec import Struct

from extproc.config.model import HeaderEdits, Provider
from extproc.config.timeouts import Timeouts
from extproc.config.urls import provider_url
from extproc.crossing import CREDENTIALS
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import Dialect, common
from extproc.dialects.quirks import NONE, Quirks, Refit, refit
from extproc.envoy.names import cluster_name
from extproc.inference import among, infers, plain, whole
from extproc.pool import Pool
from extproc.tokens import Purse, purpose_of

_AUTH = {
    "bearer": ("authorization", "Bearer "),
    "google": ("authorization", "Bearer "),
    "x-api-key": ("x-api-key", ""),
    "api-key": ("api-key", ""),
    "x-goog-api-key": ("x-goog-api-key", ""),
    "x-portkey-api-key": ("x-portkey-api-key", ""),
    "cf-aig-authorization": ("cf-aig-authorization", "Bearer "),
}
"""Header that carries a key, and what stands before it, by `Provider.auth`."""
CARRIERS = tuple(sorted({*CREDENTIALS, *(name for name, _ in _AUTH.values())}))
"""All headers that may carry one."""

_ELSEWHERE = {
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images",
    "/v1/images/edits": "image_edits",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/models": "models",
}
"""Keys of `Provider.paths` that are no operations of dialects, by the path that clients ask at."""


_CONVERSE = frozenset({"chat", "completions", "responses", "messages"})
"""Of `Provider.endpoints`, where conversations are held."""
_ASKED_AS = {"count": "chat"}
_BY_PATH = {"/v1/images/": "images", "/v1/audio/": "audio", "/v1/moderations": "moderations", "/v1/responses/": "responses"}
"""Those that are told by where a client asks, which is where it asks OpenAI."""
_TELLING = frozenset({"embeddings", "rerank", *_BY_PATH.values()})
"""Those whose absence is a reason not to ask."""


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
    elsewhere: Mapping[str, str] = {}
    """Where it has what it has elsewhere than its dialect, by the dialect's path."""
    quirks: Quirks = NONE
    refit: Refit | None = None
    """What of its quirks concerns requests of its own dialect."""
    endpoints: frozenset[str] = frozenset()
    """See `Provider.endpoints`."""
    purse: Purse | None = None
    """Where its access token is, if it wants one."""
    token: str = ""
    """What that token is for, see `tokens.purpose`."""
    pool: Pool | None = None
    """Its keys, if it has several."""
    own: frozenset[tuple[str, str]] = frozenset()
    """Where it is asked for inference in any of its dialects, see `inference.whole`."""
    also: dict[str, "Upstream"] = {}
    """The same provider as it is asked in each other dialect that it speaks, by the dialect's name."""

    @property
    def remembers(self) -> bool:
        """Whether it keeps the responses that it gives in the Responses API, so that a client can go on from them there, and only there."""
        return self.quirks.memory and any(dialect.name == "responses" for dialect in self.dialects)

    def offers(self, kind: str, path: str) -> bool:
        """Whether it has what a client asks for at `path`, as far as is known: what nobody has said it lacks, it has."""
        if not self.endpoints:
            return True
        kind = _ASKED_AS.get(common(kind), common(kind))
        if kind == "chat":
            return not self.endpoints.isdisjoint(_CONVERSE)
        if kind == "json":
            kind = next((operation for begins, operation in _BY_PATH.items() if path.startswith(begins)), "")
        return kind not in _TELLING or kind in self.endpoints

    @property
    def ready(self) -> bool:
        """It can be asked at all: where it wants an access token, there is one; where it has several keys, not all are at their limits."""
        return (self.purse is None or self.purse.has(self.token)) and (self.pool is None or self.pool.ready)

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """All that it speaks, the one that is used for clients of none of them first."""
        return (self.dialect, *(other.dialect for other in self.also.values()))

    def speaking(self, dialect: str, kind: str) -> "Upstream":
        """The provider for a client of `dialect`: in the client's own words if it speaks them, or else in the first dialect that has what
        is asked for.
        """
        if not self.also or dialect == self.dialect.name:
            return self
        if (own := self.also.get(dialect)) is not None:
            return own
        return next((one for one in (self, *self.also.values()) if common(kind) in one.dialect.operations), self)

    def form(self, kind: str, model: str) -> str | None:
        """The form in which it is asked for what `kind` is a form of, if not in the usual one: see `Quirks.forms`."""
        forms = self.quirks.forms.get(common(kind), {})
        found = next((form for pattern, form in forms.items() if fnmatchcase(model, pattern)), None)
        return found if found in self.dialect.operations else None

    def path(self, client_path: str, client: Dialect, model: str = "") -> str:
        """The provider's path for a client's: `/v1/files?x=1` becomes `/openai/v1/files?x=1`. `client`: the client's dialect.

        A dialect may have paths that are not below its root (`/upload/v1beta/files`): they are beside it at the provider, too.
        """
        if self.elsewhere:
            bare, _, query = client_path.partition("?")
            if (own := self.elsewhere.get(bare)) is not None:
                return asked_with(_named(own, model), query)
        root = client.root
        if client_path.startswith(client.beside) and self.prefix.endswith(root):
            return self.prefix.removesuffix(root) + client_path
        return _joined(self.prefix, client_path, root)

    def infers(self, path: str) -> bool:
        """Whether it may take one of its paths, as a client's `path` became, for inference."""
        bare = plain(path.partition("?")[0])
        return infers(bare) or among(bare, self.own)

    def place(self, kind: str, model: str, *, stream: bool) -> str | None:
        """The path where it is asked for an operation; None for what is no operation of its dialect."""
        path = self.paths.get((kind, stream))
        return None if path is None else _named(path, model)

    def of_model(self, rest: str, model: str) -> str | None:
        """Where it is asked something of a model: as for a conversation up to the model's name, then `rest`. None: paths name no model."""
        before, found, _ = self.paths.get(("chat", False), "").partition("{model}")
        return _named(before + found, model) + rest if found else None

    def names_model(self, kind: str) -> bool:
        """Whether the path names the model rather than the body."""
        return "{model}" in self.paths.get((kind, False), "")


class Portrait(Struct, frozen=True):
    """What decides of an upstream's requests and answers how they are translated: a plain value that can travel, without credentials."""

    dialect: str
    quirks: Quirks
    refit: Refit | None
    paths: list[tuple[str, bool, str]]

    def upstream(self) -> Upstream:
        """One that translates the same, and is nowhere."""
        return Upstream(
            name="", cluster="", dialect=DIALECTS[self.dialect], authority="", prefix="", headers=(), request=HeaderEdits(),
            response=HeaderEdits(), timeouts=Timeouts(), names=(), paths={(kind, stream): path for kind, stream, path in self.paths},
            quirks=self.quirks, refit=self.refit,
        )  # fmt: skip


def portrait(upstream: Upstream) -> Portrait:
    """That of an upstream, in the dialect in which it is asked."""
    paths = [(kind, stream, path.partition("?")[0]) for (kind, stream), path in upstream.paths.items()]
    return Portrait(upstream.dialect.name, upstream.quirks, upstream.refit, paths)


def asked_with(path: str, query: str) -> str:
    """A provider's path with a client's query. Of a parameter that both have, the path's counts."""
    if not query:
        return path
    own = {pair.partition("=")[0] for pair in path.partition("?")[2].split("&")}
    query = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] not in own)
    return path + ("&" if "?" in path else "?") + query if query else path


def _named(path: str, model: str) -> str:
    return path.replace("{model}", quote(model, safe="")) if "{" in path else path


def _joined(prefix: str, path: str, root: str) -> str:
    rest = path.removeprefix(root)
    return prefix + (rest if rest[:1] in ("", "/", "?") else path)


def _paths(dialect: Dialect, prefix: str, own: Mapping[str, str]) -> dict[tuple[str, bool], str]:
    """Where the operations are: at the dialect's own places, but for those in `own`."""
    places = [place for place in reversed(dialect.places) if place.kind in dialect.operations]
    paths = {
        (place.kind, stream): _joined(prefix, place.path, dialect.root)
        for place in places
        for stream in (False, True)
        if place.streams(stream)
    }
    paths |= {(kind, stream): own[kind] for kind in dialect.operations if kind in own for stream in (False, True)}
    if "stream" in own:
        paths["chat", True] = own["stream"]
    # A form without a place of its own is asked for at the usual one's.
    usual = {(kind, stream): paths.get((common(kind), stream)) for kind in dialect.operations for stream in (False, True)}
    return {place: path for place, path in usual.items() if path is not None} | paths


def compile_upstream(
    name: str, provider: Provider, alias: str = "", purse: Purse | None = None, pool: Pool | None = None
) -> Upstream:  # fmt: skip
    """The provider `name`, ready for traffic. The configuration is known to be good. `alias`: its name in Envoy, if that is another;
    `purse`: where access tokens are; `pool`: its keys, if it has several.
    """
    spoken = dict.fromkeys((provider.dialect, *provider.also))
    made = {dialect: msgspec.structs.replace(_compile(name, provider, alias, purse, dialect), pool=pool) for dialect in spoken}
    own = whole(path for one in made.values() for path in (*one.paths.values(), *_asked_elsewhere(one)))
    first, *others = (msgspec.structs.replace(one, own=own) for one in made.values())
    return msgspec.structs.replace(first, also={other.dialect.name: other for other in others})


def _asked_elsewhere(upstream: Upstream) -> list[str]:
    return [path for place, path in upstream.elsewhere.items() if _ELSEWHERE[place] != "models"]


def _compile(name: str, provider: Provider, alias: str, purse: Purse | None, spoken: str) -> Upstream:
    """The provider as it is asked in one of its dialects."""
    dialect = DIALECTS[spoken]
    url = provider_url(provider)
    prefix = url.path or dialect.root  # not every dialect has all of its paths below one
    headers = _headers(dialect, provider)
    changing = _changing(provider)
    own = _own_paths(url.path, provider, spoken)
    if spoken == "responses" and own.get("chat", "").endswith("/responses"):
        prefix = own["chat"].removesuffix("/responses")  # all else of that API is beside it
    edits = provider.headers.request
    return Upstream(
        name=name,
        cluster=cluster_name(alias or name),
        dialect=dialect,
        authority=url.authority,
        prefix=prefix,
        headers=headers,
        request=edits,
        response=provider.headers.response,
        timeouts=provider.timeouts,
        names=(tuple(name for name, _ in headers) + changing, tuple(edits.set), tuple(edits.remove)),
        paths=_paths(dialect, prefix, own),
        elsewhere={place: own[operation] for place, operation in _ELSEWHERE.items() if operation in own},
        quirks=provider.quirks,
        refit=refit(provider.quirks) if spoken == provider.dialect else None,
        endpoints=frozenset(provider.endpoints),
        purse=(purse or Purse()) if provider.google is not None else None,
        token=purpose_of(name, provider),
    )


def _own_paths(base: str, provider: Provider, spoken: str) -> dict[str, str]:
    """`Provider.paths`, by operation. Where a conversation is held belongs to the first dialect, and `responses` to that of its name."""
    own = {operation: base + path for operation, path in msgspec.structs.asdict(provider.paths).items() if path}
    if spoken != provider.dialect:
        own = {operation: path for operation, path in own.items() if operation not in ("chat", "stream")}
    if spoken == "responses" and "responses" in own:
        own["chat"] = own["responses"]
    return own


def _changing(provider: Provider) -> tuple[str, ...]:
    """The names of headers that it always gets, and that do not always say the same."""
    if provider.google is not None:
        return ("authorization",)
    carrier = credential_header(provider) if provider.keys else None
    return (carrier[0],) if carrier is not None else ()


def credential_header(provider: Provider) -> tuple[str, str] | None:
    """The header that carries its keys, and what stands before one there: in its own way, or in that of its first dialect. None where
    keys are not sent.
    """
    if provider.auth is not None:
        return _AUTH.get(provider.auth)
    return next(((name, text[:-1]) for name, text in DIALECTS[provider.dialect].credential("?") if name in CREDENTIALS), None)


def _headers(dialect: Dialect, provider: Provider) -> tuple[tuple[str, str], ...]:
    """What each request gets: the key where there is a single one, and the version of the dialect that is spoken."""
    versions = tuple(pair for pair in dialect.credential("") if pair[0] not in CREDENTIALS)
    carrier = credential_header(provider) if provider.key else None
    return versions if carrier is None else ((carrier[0], f"{carrier[1]}{provider.key}"), *versions)
