"""Conversations that providers do not remember: a client of the Responses API names the response before (`previous_response_id`), and the
gateway puts in front of its input what was said until then.

What a provider remembers itself is left to it. How and why: docs/decisions/0010-turns-kept-by-the-gateway.md
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from extproc import (
    Chain,
    Environment,
    Filter,
    Handler,
    Job,
    Keep,
    Reject,
    Request,
    Response,
    Tap,
    Target,
    Turns,
    TurnsDown,
    Undone,
    is_bulky,
    kept,
)

_DIALECT = "responses"
_JSON = {"content-type": "application/json"}
_DAY = 86_400.0
_READ = 8
"""Bytes that are read at most for the items that a request refers to, in largest requests."""
T = TypeVar("T")


class Conversations(Filter, frozen=True, kw_only=True):
    """Keeps answers to clients of the Responses API whose provider keeps none, so that they can go on from them. In clear."""

    ttl: Annotated[float, Meta(gt=0, le=31_536_000)] = 30 * _DAY
    """How long an answer can be gone on from, in seconds. What a later answer builds on stays as long as that one."""
    store: Literal["disk", "redis"] | None = None
    """Where: on this machine's `disk`, or in `redis`, for all machines. Redis if it is configured, unless given."""
    max_bytes: Annotated[int, Meta(ge=1)] = 1024 * 1024 * 1024
    """Size of all that is kept on disk. The tenant that holds most gives way first, with the conversations that rested longest. In Redis,
    `maxmemory` bounds it, for all tenants alike."""
    max_turn: Annotated[int, Meta(ge=1)] = 8 * 1024 * 1024
    """Largest request and answer that are kept, in bytes together."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Conversations(self, environment)

    def about(self) -> str:
        """See `Filter.about`."""
        return (
            f"conversations of the Responses API are kept for {self.ttl / _DAY:g} days where the provider keeps none: at most "
            f"{self.max_bytes} bytes in the state folder (or in Redis, where there is one), in clear; leave out the filter "
            "`conversations` to keep none"
        )


class _Conversations:
    def __init__(self, settings: Conversations, environment: Environment) -> None:
        self.settings = settings
        on_disk = settings.store == "disk" or environment.redis_turns is None
        self.turns = environment.turns if on_disk else environment.redis_turns
        self.aside = environment.aside
        self.keep = Keep(settings.ttl, settings.max_bytes)
        self._most = environment.config.limits.request_body
        upstreams = environment.upstreams
        speaking = {name for name, upstream in upstreams.items() if any(one.name == _DIALECT for one in upstream.dialects)}
        self._remembering = frozenset(name for name in speaking if upstreams[name].remembers)
        # Which of them has made a response its id does not tell: each is asked in turn, and those that did not say 404.
        self._asked = tuple(Target(name, "") for name in upstreams if name in self._remembering)
        # Answers of the others have their own ids, which do not tell that we keep them.
        self._foreign_ids = len(self._remembering) < len(speaking)

    async def request(self, request: Request) -> Response | Tap | None:
        endpoint, turns = request.endpoint, self.turns
        if endpoint.dialect != _DIALECT or turns is None:
            return None
        if endpoint.kind == "raw":
            return await self._stored(request, turns)
        return await self._converse(request, turns) if endpoint.kind in ("chat", "count") else None

    # A conversation.

    async def _converse(self, request: Request, turns: Turns) -> Tap | None:
        forgetful = [target for target in request.targets if target.provider not in self._remembering]
        request.settle()
        body = request.body
        refers = kept.REFERENCE in body
        if not (forgetful or refers or self._foreign_ids or kept.NEEDLE in body):
            return None
        asked = kept.read_asked(body)
        if asked is None:
            return None
        for field, value in (("background", asked.background), ("conversation", asked.conversation)):
            if value and forgetful:
                forgetful = self._narrow(request, _unsupported(field))
        previous = asked.previous_response_id
        if type(previous) is str and previous:
            chain = await self._chain(request, turns, previous)
            if chain is None:
                self._narrow(request, kept.unknown_previous(previous))
                return None
            signed = any(target.provider in self._remembering for target in request.targets)
            request.replace(kept.gone_on(body, chain.turns, kept.own_input(asked), signed=signed))
        elif previous:
            raise Reject(400, "invalid_request", "previous_response_id: expected a string", param="previous_response_id")
        if refers or (previous and kept.REFERENCE in request.body):
            await self._refer(request, turns)
        if not forgetful or request.endpoint.kind != "chat":
            return None
        request.says = {"previous_response_id": previous or None}
        if asked.store is False:
            return None
        if asked.store is True:
            # It is we who store it: no target need, or refuse to.
            request.replace(kept.without_store(request.body))
        request.says |= {"id": kept.new_id(), "store": True}
        return _Following(self, turns, request, previous or "", kept.own_input(asked))

    def _narrow(self, request: Request, otherwise: Reject) -> list[Target]:
        """Leaves only those targets that remember; raises `otherwise` if there is none. No target that does not: an empty list."""
        targets = tuple(target for target in request.targets if target.provider in self._remembering)
        if not targets:
            raise otherwise
        request.targets = targets
        return []

    async def _chain(self, request: Request, turns: Turns, identifier: str) -> Chain | None:
        """What was said up to a response; None if it is not ours, and never was. Raises `Reject` for one that is kept no more."""
        ours = kept.ours(identifier)
        if not ours and not self._foreign_ids:
            return None
        most = max(0, self._most - len(request.body))
        chain = await _asking(turns.chain(request.identity.tenant, identifier, most))
        if chain.size > most:
            message = f"The conversation has {chain.size} bytes, and a request at most {self._most}: go on with the last part of it."
            raise Reject(413, "request_too_large", message, param="previous_response_id")
        if not chain.turns and ours:
            raise kept.unknown_previous(identifier)
        return chain if chain.turns else None

    async def _refer(self, request: Request, turns: Turns) -> None:
        """Puts items of ours where they are named by their ids alone. Raises `Reject`."""
        times = (await self._worked(kept.Refer(), request)).times
        if not times:
            return
        items = await self._items(request, turns, times)
        # What the request would have then is known before anything is made.
        size = len(request.body) + sum(count * len(items[name]) for name, count in times.items())
        if size > self._most:
            raise self._too_large(f"With the items that it refers to, the request has {size} bytes")
        request.replace((await self._worked(kept.Resolve(items), request)).body)

    async def _items(self, request: Request, turns: Turns, wanted: Iterable[str]) -> dict[str, bytes]:
        """Items of ours by their ids. Raises `Reject` where one is not there, or they are too many bytes."""
        of: dict[str, list[str]] = {}
        for name in wanted:
            of.setdefault(kept.response_named(name), []).append(name)
        items: dict[str, bytes] = {}
        read = 0
        # The latest first: the conversation that it ends may hold the others.
        while of:
            response = next(reversed(of))
            chain = await _asking(turns.chain(request.identity.tenant, response, self._most))
            read += chain.size
            for turn in chain.turns:
                items |= kept.items_of(turn, of.pop(turn.id, ()))
            missing = of.pop(response, ())
            if missing and chain.size > self._most:
                raise self._too_large(f"The conversation of the item '{missing[0]}' has {chain.size} bytes")
            if missing:
                raise kept.unknown_item(missing[0])
            if sum(map(len, items.values())) > self._most or read > _READ * self._most:
                raise self._too_large(f"The conversations of the items that it refers to have {read} bytes")
        for name in wanted:
            if name not in items:
                raise kept.unknown_item(name)
        return items

    def _too_large(self, what: str) -> Reject:
        return Reject(413, "request_too_large", f"{what}, and a request at most {self._most}: send the items themselves.", param="input")

    async def _worked(self, job: Job[T], request: Request) -> T:
        """A job on a request's body, done aside where that is bulky."""
        if not is_bulky(request.body):
            return job.work(request.body)
        try:
            return await self.aside.work(job, request.body, request.identity.lane)
        except Undone as undone:
            fault = undone.fault
            raise Reject(fault.status, fault.code, fault.message) from None

    def keeps_of(self, response: Response) -> bool:
        """Whether an answer is ours to keep: a provider's that keeps none."""
        target = response.target
        if response.status != 200 or target is None or response.origin not in ("provider", "cache"):
            return False
        return target.provider not in self._remembering

    # What is kept.

    async def _stored(self, request: Request, turns: Turns) -> Response | None:
        named = kept.named(request.path)
        if named is None:
            return None
        if not kept.ours(named.id):
            self._ask_each(request)
            if not self._foreign_ids:
                return None
        owner = request.identity.tenant
        if request.method == "DELETE" and not named.part:
            found = await _asking(turns.delete(owner, named.id))
            return self._answer(named.id, kept.show_deleted(named.id) if found else b"")
        wanted = ("POST" if named.part == "cancel" else "GET") == request.method
        chain = await _asking(turns.chain(owner, named.id, self._most)) if wanted else Chain()
        if chain.size > self._most:
            raise Reject(413, "response_too_large", f"The conversation has {chain.size} bytes; at most {self._most} are shown.")
        return self._answer(named.id, _shown(named, chain) if chain.turns else b"")

    def _ask_each(self, request: Request) -> None:
        """What a provider has made is looked for at all of those that remember, unless the client names one."""
        head = request.headers
        bodiless = head.get("content-length", "0") == "0" and "transfer-encoding" not in head
        if self._asked and bodiless and not request.provider:
            request.targets = self._asked

    def _answer(self, identifier: str, body: bytes) -> Response | None:
        """An answer of ours; None where it may be the provider's to give."""
        if body:
            return Response(200, dict(_JSON), body)
        if kept.ours(identifier):
            raise kept.unknown(identifier)
        return None


async def _asking(waiting: Any) -> Any:
    """What is answered from where turns are kept."""
    try:
        return await waiting
    except TurnsDown:
        message = "Earlier responses cannot be looked up at the moment. Try again."
        raise Reject(503, "conversations_unavailable", message, headers=(("retry-after", "1"),)) from None


def _unsupported(field: str) -> Reject:
    what = {"background": "runs nothing in the background", "conversation": "has no conversations API; `previous_response_id` can be used"}
    return Reject(400, "unsupported_parameter", f"The provider that serves this model {what[field]}.", param=field)


def _shown(named: kept.Named, chain: Chain) -> bytes:
    if named.part == "cancel":
        raise Reject(400, "invalid_request", "Cannot cancel a synchronous response.")
    if named.part:
        return kept.show_input(chain.turns, named.query)
    if "stream=true" in named.query.split("&"):
        raise Reject(400, "invalid_request", "Only a response that runs in the background can be streamed again.", param="stream")
    return kept.show(chain.turns[-1])


class _Following(Tap):
    """Follows an answer, to keep it: of a stream its last event, which repeats the whole."""

    whole = False
    late = True

    def __init__(self, conversations: _Conversations, turns: Turns, request: Request, previous: str, given: bytes) -> None:
        self._conversations = conversations
        self._turns = turns
        self._request = request
        self._previous = previous
        self._given = given
        self._left = conversations.settings.max_turn - len(given)
        self._stream = False
        self._pieces: list[bytes] = []

    def start(self, response: Response) -> None:
        self._stream = response.stream
        self.passes = self._left < 0 or not self._conversations.keeps_of(response)
        if self.passes:
            self._given = b""  # it may be as large as a request, and an answer may take long

    def events(self, events: list[bytes]) -> list[bytes]:
        for event in events:
            piece = kept.ended(event) if self._stream else event
            if piece:
                self._left -= len(piece)
                self._pieces.append(piece)
        if self._left < 0:
            self._pieces.clear()
            self._given = b""
        return events

    async def end(self, response: Response) -> None:
        if not self._pieces or response.status != 200:
            return
        turn = kept.turn_of(b"".join(self._pieces), self._previous, self._given)
        if turn is not None:
            await self._turns.put(self._request.identity.tenant, turn, self._conversations.keep)
