"""Where a request goes: the model that it names becomes an ordered list of targets. The list of models is answered here, too."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from extproc import (
    EVERYTHING,
    Environment,
    Felt,
    Filter,
    Handler,
    ModelRoute,
    ProbeLease,
    Pulse,
    Reject,
    Request,
    Response,
    Tap,
    Target,
    View,
    allowed_provider,
    allowed_retrying,
    allowed_targets,
    check_model,
    check_operation,
    key_names,
    look_aside,
    models_document,
    plain_path,
    providers_status,
    shows,
    together,
    unavailable,
)

_LONGEST = 256
"""Characters of a model's name, as in the configuration. What is longer costs time to search, and room in every record."""

_ADMINISTRATION = (
    # Ollama's own models: fetched, made, copied, removed and published.
    "*/api/pull", "*/api/push", "*/api/create", "*/api/copy", "*/api/delete", "*/api/blobs/*",
    # Credentials of the provider's that work without this gateway, and calls that are made with them.
    "*/client_secrets", "*/realtime/sessions", "*/realtime/transcription_sessions", "*/realtime/calls*", "*/chatkit/sessions*",
    "*/auth_tokens*", "*/api/v1/keys*", "*/api_keys*", "*/admin_api_keys*",
    # The account itself: members, keys, costs.
    "*/organization/*", "*/organizations/*", "delete */models/*",
)  # fmt: skip


_INVOKED = (
    "InvokeModel takes the words of one model, and the provider of this model has other words: only Anthropic's conversations "
    "(`anthropic_version`) and requests for vectors (Titan's, Nova's and Cohere's) are put into them. For conversations ask "
    "/model/{model}/converse."
)


_PARTICULAR = frozenset({"models", "model", "fixed", "status", "teams", "raw", "live"})
"""Kinds of request that are not simply asked of a model's targets."""


class Route(Filter, frozen=True, kw_only=True):
    """Resolves models to targets, in the order that their strategies give, as `models` in the configuration says."""

    passes: tuple[str, ...] = ("*",)
    """What passes through to a provider though it names no model: patterns of paths, as `/v1/files*`, or of a method and a path, as
    `GET /v1/batches*`. `*` stands for anything, slashes too; case, doubled slashes and escapes make no difference. What lies behind one
    key of a provider is shared by all callers."""
    refuses: tuple[str, ...] = _ADMINISTRATION
    """What of that does not: patterns likewise. Unless given, what administers a provider or hands out its credentials."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Route(environment, self.passes, self.refuses)


def _fits(method: str, path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a request is one that the patterns mean, which are in lower case."""
    return any(fnmatchcase(f"{method} {path}" if " " in pattern else path, pattern) for pattern in patterns)


class _Probe(Tap):
    """Of a request that tries whether its first target answers again: if it was not asked, or its answer was not awaited, another one may.

    A target may be left out after all: it has no slot, or no key, or the answer comes from here. Who tells of an attempt whose client hung
    up does no harm: what is given back when it has been heard of is nothing.
    """

    passes = True

    def __init__(self, standing: View, lease: ProbeLease) -> None:
        self._standing, self._lease = standing, lease

    async def end(self, response: Response) -> None:
        if not self._made(response):
            self._standing.give_back(self._lease)

    def _made(self, response: Response) -> bool:
        """Something is told of an attempt at the target. What comes of one that its client gave up is not known."""
        if response.origin not in ("provider", "envoy"):
            return False
        asked = [(one.provider, one.model) for one in response.tried]
        if not asked and response.target is not None:
            asked = [(response.target.provider, response.target.model)]
        known = asked[:-1] if response.ended == "client_closed" else asked
        return (self._lease.name.provider, self._lease.name.model) in known


class _Route:
    def __init__(self, environment: Environment, passes: tuple[str, ...], refuses: tuple[str, ...]) -> None:
        self._passes, self._refuses = (tuple(pattern.lower() for pattern in patterns) for patterns in (passes, refuses))
        self._routes = environment.routes
        self._aside = environment.aside
        self._directory = environment.directory
        spoken = {name: upstream.dialects for name, upstream in environment.upstreams.items()}
        self._dialects = {name: tuple(dialect.name for dialect in dialects) for name, dialects in spoken.items()}
        self._operations = {name: frozenset(kind for one in dialects for kind in one.operations) for name, dialects in spoken.items()}
        self._upstreams = environment.upstreams
        self._config = environment.config
        self._standing = environment.standing
        self._keys = {name: key_names(provider) for name, provider in environment.config.providers.items()}
        breaker = environment.config.breaker
        self._ask_all = breaker != "off" and breaker.when_all_open == "ask"
        self._remembering = {name for name, upstream in environment.upstreams.items() if upstream.remembers}
        self._mute = {name for name, upstream in environment.upstreams.items() if not upstream.offers("chat", "")}
        # The first provider that speaks a dialect, for requests that name neither a model nor a provider.
        self._first = {dialect: name for name, dialects in reversed(self._dialects.items()) for dialect in dialects}

    async def request(self, request: Request) -> Response | Tap | None:
        if request.endpoint.kind in _PARTICULAR:
            return await self._particular(request)
        if request.bulky:
            await self._look_aside(request)
        pulses = self._by_model(request)
        if pulses or self._standing.troubled:
            return await self._narrowed(request, pulses)
        return None

    async def _particular(self, request: Request) -> Response | Tap | None:
        """What is answered here, goes to whoever speaks its dialect, or to one target alone."""
        match request.endpoint.kind:
            case "models":
                return self._models(request, request.endpoint.model)
            case "model":
                return self._models(request, self._asked(request))
            case "fixed":
                return Response(200, {"content-type": "application/json"}, request.endpoint.body)
            case "status":
                told = providers_status(self._config, self._standing.stands(), self._standing.sick)
                return Response(200, {"content-type": "application/json"}, msgspec.json.encode(told))
            case "teams":
                return Response(200, {"content-type": "application/json"}, msgspec.json.encode(await self._teams(request)))
            case "raw":
                self._check_passes(request)
                self._by_provider(request)
            case "live" if request.endpoint.model:
                return await self._narrowed(request, self._by_model(request))
            case _:
                self._by_provider(request)
        return None

    async def _teams(self, request: Request) -> dict[str, Any]:
        """The teams that the caller belongs to, in the words of who lists them elsewhere."""
        owner = request.identity.owner
        teams = await self._directory.teams(owner) if owner is not None else []
        data = [{"team_id": one.id, "team_alias": one.name, "organization_id": one.organization} for one in teams]
        return {"object": "list", "data": data}

    async def _look_aside(self, request: Request) -> None:
        """What a bulky body needs takes long to find out, so it is done elsewhere, where some condition asks for it."""
        asked = request.model
        route = self._routes.find(asked) if len(asked) <= _LONGEST else None
        if route is not None and route.wanted:
            await look_aside(request, route.wanted, self._aside)

    async def _narrowed(self, request: Request, pulses: Mapping[Target, Pulse]) -> Tap | None:
        """Leaves out targets that cannot be asked now; what follows the request, where somebody wants to know what becomes of it."""
        probe = await self._heed(request) if self._standing.troubled else None
        if request.endpoint.kind == "live":
            # A WebSocket is connected once.
            request.targets = request.targets[:1]
        felt = Felt(request, pulses) if pulses and request.targets else None
        return together(probe, felt)

    def _by_model(self, request: Request) -> Mapping[Target, Pulse]:
        """Sets the request's targets. Returns what has been felt of them, where the model's strategy wants to know."""
        asked = self._asked(request)
        if len(asked) > _LONGEST:
            message = f"The name of the model has {len(asked)} characters; at most {_LONGEST} are taken."
            raise Reject(400, "invalid_model", message, param="model")
        request.record.model = asked
        route = self._routes.find(asked)
        if route is None:
            raise self._unknown(request, asked)
        request.record.route = route.name
        targets = route.resolve(asked)
        if route.patient:
            request.patience = route.patience(targets)
        if named := self._named(request):
            targets = tuple(target for target in targets if target.provider == named)
            if not targets:
                raise Reject(404, "model_not_found", f"The model {asked!r} is not asked of the provider {named!r} here.", param="model")
        if request.identity.grant is not EVERYTHING:
            targets = self._granted(request, targets)
        if not request.endpoint.converses or (self._mute and any(target.provider in self._mute for target in targets)):
            targets = self._able(request, targets)
        elif route.retrying is not None:
            request.retrying = allowed_retrying(request.identity.grant, route.retrying)
        request.targets = targets
        return self._choose(request, route) if route.chooses and targets else {}

    def _granted(self, request: Request, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Those that the caller may ask. Raises `Reject` 403."""
        grant = request.identity.grant
        # The body may have told what is asked for.
        check_operation(grant, request.endpoint, request.path.partition("?")[0])
        check_model(grant, request.record.model)
        return allowed_targets(grant, request.record.model, targets)

    def _choose(self, request: Request, route: ModelRoute) -> Mapping[Target, Pulse]:
        """Leaves the targets that are for this request, in the order that the model's strategy gives."""
        able = route.able(request, request.targets)
        request.configured = tuple(one.target for one in able)
        if route.patient:
            request.patience = route.patience_among(able)
        # What one provider remembers, another does not know: whoever goes on has to find the one that he began with.
        remembered = request.endpoint.dialect == "responses" and len({one.target.provider for one in able} & self._remembering) > 1
        request.targets = route.arrange(request, able, by_caller=remembered)
        return {} if route.pulses is None else {one.target: one.pulse for one in able if one.pulse is not None}

    async def _heed(self, request: Request) -> Tap | None:
        """Passes over targets that fail, or that have asked to be left alone. A tap where this request tries whether one answers again."""
        chosen = await self._standing.choose(request.targets, self._keys)
        if not chosen.targets and (not chosen.why or self._ask_all):
            return None
        if chosen.targets[:1] != request.targets[:1]:
            request.first = request.targets[0]
        request.configured, request.targets, request.passed = request.configured or request.targets, chosen.targets, chosen.passed
        if not chosen.targets:
            request.unavailable = unavailable(request.record.model, chosen.why)
            if request.endpoint.dialect == "responses" or request.endpoint.kind == "live":
                # Who asks for what was said before must not be told that nobody knows it.
                raise request.unavailable
            # The cache may have it.
        return _Probe(self._standing, chosen.lease) if chosen.lease is not None else None

    def _asked(self, request: Request) -> str:
        if not (model := request.model):
            raise Reject(400, "missing_model", "The request names no model. Set `model` to one that GET /v1/models lists.", param="model")
        return model

    def _able(self, request: Request, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Those that can be asked for this at all: every dialect holds conversations, but not all do the rest, and nor do all providers."""
        wanted, kind, path = request.endpoint.dialect, request.endpoint.operation, request.path.partition("?")[0]
        speaking = [target for target in targets if wanted in self._dialects[target.provider] or kind in self._operations[target.provider]]
        able = tuple(target for target in speaking if self._upstreams[target.provider].offers(kind, path))
        if kind == "count" and not able:
            return ()  # the engine has an estimate
        if speaking and not able:
            message = f"No provider of this model offers what {path} asks for, as far as is known; `endpoints` in its section would say it."
            raise Reject(404, "unsupported_endpoint", message, param="model")
        if not able and kind == "json" and request.endpoint.reading == "invoke":
            raise Reject(400, "unsupported_endpoint", _INVOKED, param="body")
        if not able:
            why = (
                "is not translated between dialects"
                if kind in ("json", "form", "live")
                else f"asks for {kind}, which not every dialect has"
            )
            message = f"{path} {why}, and no provider of this model speaks {wanted!r}."
            raise Reject(404, "unsupported_endpoint", message, param="model")
        return able

    def _check_passes(self, request: Request) -> None:
        path, method = plain_path(request.path.partition("?")[0]), request.method.lower()
        if not _fits(method, path, self._passes):
            message = f"{request.method} {path[:_LONGEST]} does not pass here: `passes` of the filter `route` does not name it."
        elif _fits(method, path, self._refuses):
            message = f"{request.method} {path[:_LONGEST]} does not pass here: `refuses` of the filter `route` names it."
        else:
            return
        raise Reject(403, "path_refused", message)

    def _by_provider(self, request: Request) -> None:
        provider = self._named(request) or self._first.get(request.endpoint.dialect)
        if (grant := request.identity.grant) is not EVERYTHING:
            provider = allowed_provider(grant, self._named(request), self._speaking(request.endpoint.dialect))
        # Nobody: a filter behind this one may answer, or it is refused.
        request.targets = (Target(provider, ""),) if provider is not None else ()

    def _speaking(self, dialect: str) -> list[str]:
        return [name for name, dialects in self._dialects.items() if dialect in dialects]

    def _named(self, request: Request) -> str:
        if request.provider and request.provider not in self._dialects:
            known = ", ".join(self._dialects)
            raise Reject(404, "provider_not_found", f"There is no provider {request.provider[:_LONGEST]!r} here; there are: {known}.")
        return request.provider

    def _unknown(self, request: Request, asked: str) -> Reject:
        near = [name for name in self._routes.near(asked) if request.identity.grant.allows_model(name)]
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "GET /v1/models lists what there is."
        return Reject(404, "model_not_found", f"There is no model {asked!r} here. {hint}", param="model")

    def _models(self, request: Request, one: str) -> Response:
        if len(one) > _LONGEST or (one and not self._shown(request, one)):
            raise self._unknown(request, one[:_LONGEST])
        asked, names = request.endpoint, self._routes.names()
        grant = request.identity.grant
        if grant is not EVERYTHING:
            # Of a configured pattern nobody can list the models, but for those that the caller may ask for by name.
            names = [name for name in dict.fromkeys([*names, *grant.named_models]) if self._shown(request, name)]
        document = models_document(asked.dialect, names, one, path=request.path, sdk=asked.sdk)
        return Response(200, {"content-type": "application/json"}, msgspec.json.encode(document))

    def _shown(self, request: Request, name: str) -> bool:
        """Whether there is such a model for the caller."""
        route = self._routes.find(name)
        return route is not None and shows(request.identity.grant, name, (target.provider for target in route.targets))
