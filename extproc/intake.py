"""A request's way in: the filters see it, and then it goes on to a provider, or is answered here.

    begin ──► proceed ──► prepare ──► forward
         └───────┴─ a Response: some filter answers, or refuses

What is told of the answer before there is one, its `Delivery` gets: the taps of the filters, and who is asked.
"""

import logging
from collections.abc import Sequence
from random import random
from time import perf_counter

import msgspec
from msgspec import Struct

from extproc.amount import spoken
from extproc.aside import Undone, is_bulky
from extproc.attempt import Attempt, Outgoing
from extproc.bodies import settle_meaning
from extproc.call import Call
from extproc.config.mirror import Mirror
from extproc.config.model import split_target
from extproc.config.timeouts import NONE_SAID, Longest, Timeouts, longest, patient
from extproc.crossing import may_remove, those, to_provider, without_credential
from extproc.deadline import TIMEOUT, seconds
from extproc.delivery import Delivery
from extproc.dialects import betas
from extproc.endpoints import check_head, check_size
from extproc.envoy import names
from extproc.errors import Reject
from extproc.estimate import ESTIMATED, Estimate
from extproc.filter import Handler, Tap
from extproc.ledger.record import Record
from extproc.mirrored import Mirrored
from extproc.pool import plan
from extproc.retrying import UNSAID, More, planned
from extproc.room import DIGITS, NO_ROOM, Held
from extproc.snapshot import Snapshot
from extproc.values import Identity, Request, Response, Target

_UNSAID = " " * DIGITS
"""In place of a content-length that is not there."""
STRICT = "x-headgate-strict"
_YES = frozenset({"true", "1", "yes", "on"})

_log = logging.getLogger(__name__)


class Forward(Struct, frozen=True):
    """Where the request goes on to, and what is changed of it first."""

    call: Call
    outgoing: Outgoing
    clusters: tuple[str, ...]
    timeouts: tuple[Timeouts, ...]
    """Of each target that may be asked."""
    more: More | None = None
    """Where the adapter makes the attempts; None: the gate has made the only one."""
    chain: str = ""
    """The cluster that holds all targets, where Envoy cannot be told of them."""
    whole: float = 0.0
    """Seconds that the client gives to the whole; 0: it does not say."""


class _Use(Tap):
    """The only attempt has a key of several, until its end."""

    passes = True

    def __init__(self, attempt: Attempt, record: Record) -> None:
        self._attempt = attempt
        self._record = record

    def start(self, response: Response) -> None:
        self._record.provider_key = self._attempt.key

    async def end(self, response: Response) -> None:
        self._record.provider_key = self._attempt.key
        self._attempt.end()


class Intake:
    """One request, from its headers to where it goes."""

    __slots__ = ("_attempt", "_delivery", "_deployment", "_given", "_held", "_request", "_snapshot")

    def __init__(self, snapshot: Snapshot, request: Request, delivery: Delivery, deployment: str = "") -> None:
        """`deployment`: the one of Azure's that the path named, which is the model."""
        self._snapshot = snapshot
        self._request = request
        self._delivery = delivery
        self._deployment = deployment
        self._given = b""
        """The body as Envoy holds it."""
        self._attempt: Attempt | None = None
        """The only one, where it has been made ahead."""
        self._held: Held | None = None
        """The room that a large body takes."""

    async def begin(self) -> Response | None:
        """The filters that need no body."""
        answered = await self._run(self._snapshot.early)
        if answered is None:
            request = self._request
            try:
                check_head(request.endpoint, request.path, request.headers, self._snapshot.config.limits.request_body)
            except Reject as reject:
                return self._delivery.refuse(reject.fault, dict(reject.headers))
            if len(length := request.headers.get("content-length", _UNSAID)) >= DIGITS and request.endpoint.buffered:
                return self._enter(length.strip())
        return answered

    def _enter(self, length: str) -> Response | None:
        """Room for a body that is large, or may be, before it is read."""
        self._held = self._snapshot.environment.room.enter(self._request.identity.tenant, length)
        if self._held is None:
            return self._delivery.refuse(NO_ROOM, {"retry-after": "1"})
        self._delivery.taps.append(self._held)
        return None

    async def proceed(self, body: bytes) -> Response | None:
        """The filters that may look at the body."""
        request, size = self._request, len(body)
        request.body = self._given = body
        request.record.bytes_in = size
        self._delivery.reached = perf_counter()
        if self._held is not None:
            self._held.settle(size)
        asked = request.endpoint
        try:
            # Envoy's own limit is never below 1 MiB.
            check_size(size, self._snapshot.config.limits.request_body)
            if self._deployment and asked.buffered:
                request.name(self._deployment)
            if asked.reading:
                settle_meaning(request)
                asked = request.endpoint
            if asked.json:
                self._read(request.body)
        except Reject as reject:
            return self._delivery.refuse(reject.fault)
        answered = await self._run(self._snapshot.filters)
        if answered is None and not request.targets and asked.operation == "count":
            return await self._estimate()
        return answered

    async def _estimate(self) -> Response:
        """The tokens of a conversation, which no provider of its model counts."""
        request = self._request
        request.settle()
        job = Estimate(request.endpoint.dialect, request.model, request.endpoint.kind)
        try:
            if request.bulky:
                made = await self._snapshot.environment.aside.work(job, request.body, request.identity.lane)
            else:
                made = job.work(request.body)
        except Reject as reject:
            return self._delivery.refuse(reject.fault)
        except Undone as undone:
            return self._delivery.refuse(undone.fault, {"retry-after": "1"})
        return self._delivery.respond(Response(200, {"content-type": "application/json", ESTIMATED: "tokens"}, made.body))

    def _read(self, body: bytes) -> None:
        """Decodes the document whole where a filter will want that anyway: its outside need not be decoded by itself."""
        if is_bulky(body):
            self._request.bulky = True
            return
        for reader in self._snapshot.readers:
            if reader.reads(body):
                _ = self._request.json
                return

    async def _run(self, handlers: Sequence[Handler]) -> Response | None:
        request = self._request
        try:
            for handler in handlers:
                outcome = await handler.request(request)
                if isinstance(outcome, Tap):
                    self._delivery.taps.append(outcome)
                elif outcome is not None:
                    return self._delivery.respond(outcome)
        except Reject as reject:
            return self._delivery.refuse(reject.fault, dict(reject.headers))
        return None

    async def prepare(self) -> None:
        """Before `forward`: has the body that the only provider gets made aside, where it is bulky. Raises `Reject`."""
        request = self._request
        if not request.bulky or request.edited:
            return
        self._narrow()
        if not self._alone:
            return
        self._attempt = attempt = self._sole(self._call(request, alone=True))
        if (job := attempt.job(request.body)) is not None:
            try:
                attempt.take(await self._snapshot.environment.aside.work(job, request.body, request.identity.lane))
            except Undone as undone:
                fault = undone.fault
                raise Reject(fault.status, fault.code, fault.message, headers=(("retry-after", "1"),)) from None

    @property
    def _alone(self) -> bool:
        """There is one attempt, and the gate makes it."""
        request = self._request
        return len(request.targets) == 1 and (request.retrying is None or not request.retrying.watches)

    def _sole(self, call: Call) -> Attempt:
        """The attempt at the only target."""
        (target,) = self._request.targets
        return Attempt(call, target, self._snapshot.upstreams[target.provider], self._snapshot.config.limits.response_body)

    def forward(self) -> Forward:
        """Where the request goes. Raises `Reject` where it cannot be made into what the provider needs."""
        request = self._request
        request.settle()
        # What Envoy holds is sent back only where a filter has changed it.
        edited = request.body if request.body is not self._given else None
        alone = request.retrying is None or self._alone
        if len(request.targets) != 1 or self._snapshot.particular:
            alone = self._settle_targets(request) == 1 and (request.retrying is None or self._alone)
        prepared = self._attempt
        call = prepared.call if prepared is not None else self._call(request, alone=alone)
        request.record.stream = call.stream
        if request.endpoint.spoken and (amount := spoken(request.body)) is not None:
            request.record.unit, request.record.amount = amount.unit, amount.count
        request.rest()
        forward = self._to_one(call, edited) if alone else self._to_several(call, edited)
        if (mirrors := self._snapshot.mirrors) is not None and (mirror := mirrors.get(request.record.route)) is not None:
            self._mirror(request, mirror)
        return forward

    def _settle_targets(self, request: Request) -> int:
        """What there is to know of them beside what the filters know: how many there are. Raises `Reject` where there are none."""
        if not request.targets:
            raise request.unavailable or _nobody(request)
        self._narrow()
        return len(request.targets)

    def _narrow(self) -> None:
        """Leaves the attempts that can be made: with several keys, with access tokens that there are, in orders that Envoy takes."""
        snapshot = self._snapshot
        if snapshot.pools:
            self._multiply()
        self._pass_over()
        if snapshot.chains is not None:
            self._keep_to(snapshot.chains)

    def _mirror(self, request: Request, mirror: Mirror) -> None:
        """Sends a copy off, as the filters have left it; its provider and its translation are its own matter. Whatever comes of that, the
        client's own request goes on.
        """
        mirrors = self._snapshot.environment.mirrors
        # Who sends a key of his own has not asked for another provider to hear of it.
        if mirrors is None or request.own is not None or request.record.mirror_of or not request.endpoint.converses:
            return
        if random() >= mirror.share:  # noqa: S311 - a lot
            return
        record, (provider, model) = request.record, split_target(mirror.to)
        if not request.identity.grant.allows_provider(provider):
            return
        target = Target(provider, model or record.model)
        # Without what it may do, which has been asked, and cannot travel.
        whose = Identity(request.identity.tenant, request.identity.key)
        told = Mirrored(record.id, self._snapshot.generation, target, whose, record.model, record.route)
        try:
            headers = {name: request.headers[name] for name in those(tuple(request.headers), to_provider)}
            mirrors.send(mirror.to, without_credential(request.path), {**headers, names.MIRROR_HEADER: told.encode()}, request.body)
        except Exception:  # noqa: BLE001 - a bug of ours, told once
            mirrors.dropped += 1
            _log.exception("request %s: no copy of it is sent to its mirror", record.id)

    def _multiply(self) -> None:
        """The only target stands for as many attempts as it has keys to offer: one that is refused is not the others' fault."""
        request = self._request
        if len(request.targets) != 1 or self._attempt is not None or not request.endpoint.buffered:
            return
        (target,) = request.targets
        if (pool := self._snapshot.pools.get(target.provider)) is not None:
            request.targets = (target,) * max(1, pool.worth(target.model))
            if len(request.targets) > 1:
                request.retrying = msgspec.structs.replace(request.retrying or UNSAID, only=True)

    def _pass_over(self) -> None:
        """A target that nothing can be sent to is left out while there are others: Envoy would take our refusal for an answer."""
        request, upstreams = self._request, self._snapshot.upstreams
        if len(request.targets) > 1:
            request.targets = tuple(one for one in request.targets if upstreams[one.provider].ready) or request.targets

    def _keep_to(self, chains: frozenset[str]) -> None:
        """An older Envoy takes orders that it was compiled for, and no others: then the first target is the only one."""
        request, upstreams = self._request, self._snapshot.upstreams
        request.retrying = None
        if len(request.targets) > 1 and names.chain_name(upstreams[one.provider].cluster for one in request.targets) not in chains:
            request.targets = request.targets[:1]

    def _to_one(self, call: Call, edited: bytes | None) -> Forward:
        request, attempt = self._request, self._attempt or self._sole(call)
        self._delivery.expect(call, attempt)
        if attempt.upstream.pool is not None:
            self._delivery.taps.append(_Use(attempt, request.record))
        outgoing = attempt.outgoing(request.headers, request.body, ruled=tuple(request.set_headers))
        if outgoing.body is None and edited is not None:
            outgoing = msgspec.structs.replace(outgoing, body=edited)
        upstream = attempt.upstream
        timeouts = self._timeouts(request.targets) if request.patience else (upstream.timeouts,)
        whole = self._whole(request.headers[TIMEOUT]) if TIMEOUT in request.headers else 0.0
        return Forward(call, outgoing, (upstream.cluster,), timeouts, None, "", whole)

    def _to_several(self, call: Call, edited: bytes | None) -> Forward:
        """The adapter sets what each provider needs, for each attempt; the gate sees to it that nothing else is there."""
        request, given = self._request, self._request.headers
        if (retrying := request.retrying) is not None:
            if len(call.targets) == 1:
                retrying = msgspec.structs.replace(retrying, only=True)
            targets, within = planned(call.targets, retrying), retrying.retries.within
            retrying = msgspec.structs.replace(retrying, until=request.record.time + within) if within else retrying
            call = msgspec.structs.replace(call, targets=targets, retrying=retrying)
        if self._snapshot.pools:
            keys = plan([(target.provider, target.model) for target in call.targets], self._snapshot.pools)
            call = msgspec.structs.replace(call, keys=keys)
        if request.slot:
            call = msgspec.structs.replace(call, slot=request.slot.hex())
        self._delivery.expect(call, None)
        kept = {**call.headers, **call.rules, "content-length": str(len(request.body)), "x-request-id": call.id}
        outgoing = Outgoing(
            {name: value for name, value in kept.items() if given.get(name) != value},
            tuple(name for name in given if name not in kept and may_remove(name)),
            edited,
        )
        clusters = tuple(self._snapshot.upstreams[target.provider].cluster for target in call.targets)
        more = (retrying or UNSAID).more
        chain = names.chain_name(clusters) if self._snapshot.chains is not None else ""
        whole = self._whole(given[TIMEOUT]) if TIMEOUT in given else 0.0
        return Forward(call, outgoing, clusters, self._timeouts(self._askable(call)), more, chain, whole)

    def _askable(self, call: Call) -> tuple[Target, ...]:
        """Who may be asked: whoever is named for a refusal, too."""
        retrying = self._request.retrying
        return call.targets if retrying is None else (*call.targets, *retrying.refusals.length, *retrying.refusals.policy)

    def patience(self, call: Call) -> Longest:
        """How long a request waits that has gone on; what its client says of the whole, included."""
        waits, given = longest(self._timeouts(self._askable(call))), self._request.headers
        return waits._replace(total=self._whole(given[TIMEOUT])) if TIMEOUT in given else waits

    def _timeouts(self, targets: Sequence[Target]) -> tuple[Timeouts, ...]:
        """Of each target, or several of one that stands there several times."""
        said, upstreams = self._request.patience, self._snapshot.upstreams
        usual = tuple(upstreams[target.provider].timeouts for target in targets)
        if not said:
            return usual
        return tuple(patient(own, one) for target, own in zip(targets, usual, strict=True) for one in said.get(target, (NONE_SAID,)))

    def _whole(self, said: str) -> float:
        """What the client says of the whole, in seconds. Raises `Reject` 400 where that is none."""
        return seconds(said, self._snapshot.config.timeouts.most)

    def _call(self, request: Request, *, alone: bool) -> Call:
        """What attempts are told of the request. `alone`: there is one only, of ours, which has the headers before it."""
        asked, given, ruled = request.endpoint, request.headers, request.set_headers
        envelope = request.envelope if asked.buffered else None
        crossing = () if alone else those(tuple(given), to_provider)
        return Call(
            id=request.record.id,
            generation=self._snapshot.generation,
            dialect=asked.dialect,
            kind=asked.kind,
            path=without_credential(request.path),
            headers={name: given[name] for name in crossing if name not in ruled} if crossing else {},
            targets=request.targets,
            rules={name: value for name, value in ruled.items() if value is not None} if ruled else {},
            model=request.record.model,
            stream=envelope is not None and request.stream,
            asks_usage=asked.asks_usage,
            include_usage=envelope is not None and envelope.include_usage,
            named=bool(asked.model),
            rest=asked.rest,
            strict=STRICT in given and given[STRICT].lower() in _YES,
            says=request.says,
            sdk=asked.sdk,
            gives=asked.gives,
            betas="" if betas.HEADER in ruled else request.betas,
            lane="" if alone else request.identity.lane,
        )


def _nobody(request: Request) -> Reject:
    """No filter has answered, and there is nobody else to ask."""
    path = request.path.partition("?")[0]
    message = f"No provider here speaks {request.endpoint.dialect!r}, so nobody can answer {path}."
    return Reject(404, "provider_not_found", message)
