"""The exact cache: the same request, from the same tenant, to the same targets, is answered from memory.

What is the same is decided by a SHA-256 of everything that shapes an answer: tenant, dialect, path, the targets (as they are configured,
whichever of them a strategy puts first), the headers that change behaviour, and the body in canonical form. By default only requests that
say `temperature: 0` (and embeddings, which have no temperature) are looked up. An answer is kept only when it is whole, a success, and of
the first target, however often and with which of its keys it was asked: a fallback's answer must not outlive the trouble that it bridged,
also where the first one was passed over for it. Of several callers that ask the same at once, one asks
the provider (streams excepted).
"""

import re
import time
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

from extproc import (
    Aside,
    Entry,
    Environment,
    Filter,
    Fingerprint,
    Handler,
    Lead,
    Request,
    Response,
    Store,
    Tap,
    Undone,
    Usage,
    fingerprint,
    to_provider,
    without_credential,
)

HEADER = "x-headgate-cache"
"""Response header: `hit`, `miss` or `bypass`."""

# A change in what is kept, or in how keys are made, must not meet entries of before.
_VERSION = b"headgate-cache-2"

# What the first caller is told of how the answer came about is true for all.
_KEPT = ("x-headgate-dropped",)

_NO_TEMPERATURE = frozenset({"embeddings", "rerank"})
_MODERATIONS = "/v1/moderations"

# Headers that go to a provider and change nothing about its answer. Any other that goes there may.
_NEUTRAL = re.compile(
    r"user-agent$|accept(-|$)|content-|x-stainless-|idempotency-key$|x-client-request-id$|cache-control$|x-request-id$|date$"
)
_STRICT = "x-headgate-strict"

# Where clients put it: before the messages or after them.
_ZERO = re.compile(rb'"temperature"\s*:\s*0(?:\.0*)?\s*[,}]')
_ENDS = 256


class Cache(Filter, frozen=True, kw_only=True):
    """Answers repeated requests from memory or Redis."""

    ttl: Annotated[float, Meta(gt=0, le=31_536_000)] = 3600.0
    """How long an answer is kept, in seconds."""
    deterministic_only: bool = True
    """Only requests whose answer should not vary: `temperature: 0`, embeddings. False: all of them."""
    store: Literal["memory", "redis"] | None = None
    """Where: `memory`, shared by the workers of one machine, or `redis`, shared by all. Redis if it is configured, unless given."""
    max_bytes: Annotated[int, Meta(ge=1)] = 64 * 1024 * 1024
    """Size of the memory; what was used least recently goes first."""
    max_entry: Annotated[int, Meta(ge=1)] = 4 * 1024 * 1024
    """Largest answer that is kept, in bytes."""
    wait: Annotated[float, Meta(ge=0, le=25)] = 10.0
    """How long to wait for somebody else's answer to the same request, in seconds, before asking as well."""
    keep_fallbacks: bool = False
    """Keep answers of other than the first target, too."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        redis = environment.redis
        store = environment.memory if self.store == "memory" or redis is None else redis
        return _Cache(self, store, environment.aside)


class _Cache:
    def __init__(self, settings: Cache, store: Store, aside: Aside) -> None:
        self.settings = settings
        self.store = store
        self.aside = aside

    def reads(self, body: bytes) -> bool:
        """See `Reader`."""
        if not self.settings.deterministic_only:
            return True
        return _ZERO.search(body, 0, _ENDS) is not None or _ZERO.search(body, max(0, len(body) - _ENDS)) is not None

    async def request(self, request: Request) -> Response | Tap | None:
        if not request.endpoint.json or not self._cacheable(request):
            return None
        asked = request.headers.get("cache-control")
        wishes = _cache_control(asked) if asked else {}
        if "no-store" in wishes:
            request.record.cache = "bypass"
            return _Mark("bypass")
        if request.bulky:
            try:
                key = (await self.aside.work(Fingerprint(_VERSION, _shape(request)), request.body, request.identity.lane)).digest
            except Undone:
                request.record.cache = "bypass"
                return _Mark("bypass")
        else:
            key = _key(request)
        if "no-cache" in wishes:
            request.record.cache = "miss"
            return _Keep(self, key, None, request)
        stream = request.stream
        found = await self.store.begin(key, lead=not stream, wait=self.settings.wait)
        if isinstance(found, Entry):
            age = max(0, int(time.time() - found.created))
            if age <= wishes.get("max-age", age):
                return _replay(request, found, age)
            found = None
        request.record.cache = "miss"
        return _Keep(self, key, found, request)

    def _cacheable(self, request: Request) -> bool:
        if not self.settings.deterministic_only:
            return True
        return request.envelope.deterministic or request.endpoint.operation in _NO_TEMPERATURE or request.path.startswith(_MODERATIONS)


def _cache_control(value: str) -> dict[str, int]:
    """Directives of a request's `cache-control` (RFC 9111, section 5.2.1) and their seconds."""
    wishes: dict[str, int] = {}
    for part in value.lower().split(","):
        name, _, seconds = part.strip().partition("=")
        if name:
            wishes[name] = int(seconds) if seconds.isascii() and seconds.isdigit() else 0
    return wishes


def _shape(request: Request) -> list[object]:
    """What shapes an answer beside the body."""
    headers = request.headers
    return [
        request.identity.tenant,
        request.endpoint.dialect + request.endpoint.sdk,
        without_credential(request.path),
        [(one.provider, one.model) for one in request.configured or request.targets if one in request.targets or one in request.passed],
        [(name, headers[name]) for name in _shaping(tuple(headers))],
        sorted(request.set_headers.items()),
        request.betas,
        request.own.digest if request.own is not None else "",
    ]


def _key(request: Request) -> bytes:
    return fingerprint(_VERSION, _shape(request), request.json)


@lru_cache(maxsize=512)
def _shaping(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a request's headers that may change its answer, sorted."""
    return tuple(sorted(name for name in names if name == _STRICT or (to_provider(name) and not _NEUTRAL.match(name))))


def _replay(request: Request, entry: Entry, age: int) -> Response:
    headers: dict[str, str | None] = {**dict(entry.headers), HEADER: "hit", "age": str(age)}
    response = Response(entry.status, headers, entry.body, origin="cache", stream=entry.stream)
    response.usage, response.answered = entry.usage, entry.answered
    known = (*request.targets, *request.passed)
    response.target = next((one for one in known if (one.provider, one.model) == (entry.provider, entry.target)), None)
    request.record.cache = "hit"
    return response


class _Mark(Tap):
    passes = True

    def __init__(self, word: str) -> None:
        self._word = word

    def start(self, response: Response) -> None:
        response.headers[HEADER] = self._word


class _Keep(Tap):
    """Follows an answer that may be worth keeping."""

    whole = False
    late = True
    _size = 0
    _wanted = False

    def __init__(self, cache: _Cache, key: bytes, lead: Lead | None, request: Request) -> None:
        self._cache = cache
        self._key = key
        self._lead = lead
        self._request = request
        # Filters behind this one, and who makes the attempts, leave out targets that have no room: who steps in for them is a fallback.
        self._targets = request.targets
        self._pieces: list[bytes] = []

    def start(self, response: Response) -> None:
        response.headers[HEADER] = "miss"
        first = self._cache.settings.keep_fallbacks or response.target == (self._request.first or next(iter(self._targets), None))
        # A page in place of an answer is none, whatever its status says.
        answers = response.stream or "json" in (response.headers.get("content-type") or "")
        self._wanted = response.origin == "provider" and response.status == 200 and first and answers

    def events(self, events: list[bytes]) -> list[bytes]:
        if self._wanted:
            self._pieces += events
            self._size += sum(map(len, events))
            if self._size > self._cache.settings.max_entry:
                self._wanted = False
                self._pieces.clear()
        return events

    async def end(self, response: Response) -> None:
        store = self._cache.store
        if not self._wanted or response.status != 200 or response.ended != "complete" or not response.finished:
            if self._lead is not None:
                await store.abandon(self._key, self._lead)
            return
        kept = Entry(
            status=response.status,
            headers=(
                ("content-type", response.headers.get("content-type") or "application/json"),
                *((name, value) for name in _KEPT if (value := response.headers.get(name))),
            ),
            body=b"".join(self._pieces),
            usage=response.usage or Usage(),
            provider=response.target.provider if response.target else "",
            target=response.target.model if response.target else "",
            answered=response.answered,
            created=int(time.time()),
            stream=response.stream,
        )
        await store.put(self._key, kept, self._cache.settings.ttl, self._lead)
