"""The snapshots of a worker: the one in force, and those before it that requests under way began with."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from extproc.aside import Aside, Here
from extproc.cachestore.entry import Store
from extproc.callers.directory import Directory, NoDirectory
from extproc.callers.tokens import NoSets, Sets
from extproc.clock import Clock
from extproc.config.model import Config, Redis
from extproc.environment import Environment, Journal
from extproc.heap import Leftovers
from extproc.keys import StoredKeys
from extproc.limits.limit import Limits, Nowhere
from extproc.limits.quotes import NoQuotes, Quotes
from extproc.limits.shared import SharedLimits
from extproc.memory import bodies, bound
from extproc.mirrored import Copies
from extproc.pool import Pool, Pools
from extproc.pressure import Pressure
from extproc.pulse import Pulses
from extproc.retrying import Budgets
from extproc.room import Room
from extproc.routes import Routes
from extproc.slots.atonce import AtOnce
from extproc.slots.slot import Slots
from extproc.snapshot import Message, Snapshot, decode, decode_settings
from extproc.standing.renewed import way
from extproc.standing.view import View
from extproc.tokens import Purse
from extproc.tried import Tried
from extproc.turns.turn import Turns
from extproc.upstream import compile_upstream, credential_header

# Snapshots that are kept for requests that began with them: an adapter asks for one by name, long after it was replaced perhaps.
_KEPT = 8


async def _at_once(_: float) -> None:
    pass


def _nobody(_: Redis | None) -> Limits:
    """Then each rule's own policy decides."""
    return SharedLimits(Nowhere(), lambda: 1)


class Engine:
    """Holds the snapshot in force. Loading another is one assignment; requests under way keep theirs."""

    def __init__(
        self, journal: Journal, memory: Store, open_redis: Callable[[Redis], Store], aside: Aside | None = None,
        turns: Turns | None = None, open_redis_turns: Callable[[Redis], Turns] | None = None, *,
        pause: Callable[[float], Awaitable[None]] | None = None, standing: View | None = None, slots: Slots | None = None,
        mirrors: Copies | None = None, issuers: Sets | None = None,
    ) -> None:  # fmt: skip
        """`turns`: where conversations are kept; nowhere unless given. `open_redis_turns`: where instead, if there is a Redis. `pause`:
        waits so many seconds; not at all unless given. `slots`: who hands them out; this engine itself unless given, and then nobody waits.
        `mirrors`: sends copies of requests to mirrors; nothing is mirrored unless given. `issuers`: where the keys are of those whose
        tokens are taken.
        """
        self.pause = pause or _at_once
        """Before a target is asked again."""
        self.budgets = Budgets()
        self.aside: Aside = aside or Here()
        """Where the work on bulky bodies is done."""
        self.leftovers = Leftovers()
        """Of the bodies that have come through it."""
        self.purse = Purse()
        """Access tokens of providers."""
        self.pulses = Pulses()
        """What this worker has felt of targets."""
        self.standing = standing or View()
        """Which targets are left alone for now."""
        self.pools = Pools(self.standing)
        """Keys of those that have several."""
        self.pressure = Pressure()
        """Whether this worker keeps up."""
        self.room = Room()
        """For bodies."""
        self.slots: Slots = slots or AtOnce()
        self.issuers: Sets = issuers or NoSets()
        """Keys of those whose tokens are taken."""
        self.directory: Directory = NoDirectory()
        """Who knows whom these mean."""
        self.mirrors = mirrors
        """Copies of requests on their way."""
        self.clock = Clock()
        """Of streams, which end when their time is over."""
        self.counters: Callable[[Redis | None], Limits] = _nobody
        """Who counts what is used of limits, by the Redis that is configured."""
        self.leased: Callable[[Redis | None], Limits] = _nobody
        """The same, with leases."""
        self.quotes: Quotes = NoQuotes()
        """Who knows what targets charge that a snapshot does not name."""
        self.ears: list[Callable[[Tried], None]] = []
        """Who is told of each attempt of this worker: quick, and never failing."""
        self._journal = journal
        self._memory = memory
        self._open_redis = open_redis
        self._turns = turns
        self._open_redis_turns = open_redis_turns
        self._redis_turns: tuple[Redis, Turns] | None = None
        self._redis: tuple[Redis, Store] | None = None
        self._keys = StoredKeys()
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()
        self._current: Snapshot | None = None

    @property
    def current(self) -> Snapshot:
        """The snapshot in force. There is one from before the first stream on."""
        if self._current is None:
            raise RuntimeError("no snapshot was loaded")
        return self._current

    def hear(self, tried: Tried) -> None:
        """An attempt is told of."""
        for ear in self.ears:
            ear(tried)

    def find(self, generation: str) -> Snapshot:
        """The snapshot that a request began with; the one in force if that is forgotten."""
        return self._snapshots.get(generation, self.current)

    def load(self, data: bytes) -> str:
        """Makes an encoded snapshot the one in force; its generation. Raises, and changes nothing, if it cannot be built."""
        generation, message = decode(data)
        snapshot = self._snapshots.get(generation) or self._compile(generation, message)
        self._keys.take(message.keys, exist=message.keys_exist)
        self._snapshots[generation] = snapshot
        self._snapshots.move_to_end(generation)
        while len(self._snapshots) > _KEPT:
            self._snapshots.popitem(last=False)
        self._follow(snapshot.config)
        self._current = snapshot
        return generation

    def _follow(self, config: Config) -> None:
        if self.mirrors is not None:
            self.mirrors.keep({model.mirror.to for model in config.models if model.mirror is not None and model.mirror.share})
        shedding = config.shedding
        memory = bound(shedding.memory, config.workers)
        self.pressure.follow(enabled=shedding.enabled, lag=shedding.lag, memory=memory)
        self.room.whole = bodies(shedding.bodies, memory) if shedding.enabled else 0
        pooled = {name: provider for name, provider in config.providers.items() if provider.keys}
        breakers = {name: config.breaker_of(name) for name in pooled}
        cool = {name: breaker.cool for name, breaker in breakers.items() if breaker is not None}
        self.pools.follow(cool, {name: way(provider) for name, provider in pooled.items()})

    def _compile(self, generation: str, message: Message) -> Snapshot:
        settings, filters = decode_settings(message)
        config = settings.config
        pools = self._open_pools(config)
        environment = Environment(
            config=config,
            routes=Routes(config.models, config.retries, settings.prices, self.pulses),
            upstreams={
                name: compile_upstream(name, provider, settings.clusters.get(name, name), self.purse, pools.get(name))
                for name, provider in config.providers.items()
            },
            stored_keys=self._keys,
            private=settings.private,
            journal=self._journal,
            memory=self._memory,
            redis=self._redis_store(config.redis),
            aside=self.aside,
            turns=self._turns,
            redis_turns=self._turns_in_redis(config.redis),
            standing=self.standing,
            slots=self.slots,
            limits=self.counters(config.redis),
            leased=self.leased(config.redis),
            prices=settings.prices,
            quotes=self.quotes,
            issuers=self.issuers,
            directory=self.directory,
            room=self.room,
            mirrors=self.mirrors,
        )
        return Snapshot(generation, environment, filters)

    def _open_pools(self, config: Config) -> dict[str, Pool]:
        opened = {name: self.pools.open(name, one, credential_header(one), config.workers) for name, one in config.providers.items()}
        pools = {name: pool for name, pool in opened.items() if pool is not None}
        if pools and self.pools.hear not in self.ears:
            self.ears.append(self.pools.hear)
        return pools

    def _redis_store(self, settings: Redis | None) -> Store | None:
        if settings is None:
            return None
        if self._redis is None or self._redis[0] != settings:
            self._redis = settings, self._open_redis(settings)
        return self._redis[1]

    def _turns_in_redis(self, settings: Redis | None) -> Turns | None:
        if settings is None or self._open_redis_turns is None:
            return None
        if self._redis_turns is None or self._redis_turns[0] != settings:
            self._redis_turns = settings, self._open_redis_turns(settings)
        return self._redis_turns[1]
