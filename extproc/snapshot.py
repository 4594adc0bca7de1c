"""The configuration as workers have it: read, checked and resolved by the control process, sent as one message, swapped in one assignment.

A request keeps the snapshot that it began with. The adapter, which has no memory, finds it again by its generation, a digest of
its settings: so that a worker that was restarted, or that is not the gate's own, agrees. The keys of the state folder travel in the same
message and are no part of the generation: a key that is revoked is worthless at once, whatever else is in force.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from extproc.callers.own import Passing
from extproc.config.lookup import FILTERS
from extproc.config.mirror import Mirror
from extproc.config.model import Config
from extproc.environment import Environment
from extproc.envoy import names
from extproc.envoy.chains import compiled_in, orders
from extproc.filter import Filter, Handler, Reader
from extproc.keys import KeyState
from extproc.pool import Pool
from extproc.price import Price
from extproc.quotas import Quotas


class Settings(Struct, frozen=True):
    """What `gateway.yaml` says, checked and resolved. Holds credentials: it travels over a socket that only the owner can open."""

    config: Config
    filters: tuple[tuple[str, msgspec.Raw], ...]
    """Name and settings of each filter, in order."""
    clusters: dict[str, str] = {}
    """By provider: its name in Envoy, where that is not its own (`control.addresses`)."""
    private: bool = True
    """Only this machine can reach the Envoy that asks, if `listener` says so: not known of somebody else's Envoy."""
    prices: dict[str, Price] = {}
    """By `provider/model`: what targets charge, where a strategy asks for it."""


class Message(Struct, frozen=True):
    """A snapshot as the control process sends it."""

    settings: msgspec.Raw
    """`Settings`, encoded: a worker that has them compiled already does not look into them again."""
    keys: KeyState = KeyState()
    keys_exist: bool = False
    """The state folder has, or had, keys."""


class Snapshot:
    """A configuration, ready for traffic."""

    __slots__ = (
        "chains", "config", "early", "environment", "filters", "generation", "mirrored", "mirrors", "particular", "pools", "quotas",
        "readers", "told", "upstreams", "vouches",
    )  # fmt: skip

    def __init__(self, generation: str, environment: Environment, filters: Sequence[Filter]) -> None:
        self.generation = generation
        self.config = environment.config
        self.environment = environment
        self.upstreams = upstreams = environment.upstreams
        self.pools: dict[str, Pool] = {name: one.pool for name, one in upstreams.items() if one.pool is not None}
        """Of the providers that have several keys."""
        self.chains: frozenset[str] | None = None
        """Clusters in which several targets can be tried, where Envoy does not take any list of them."""
        if compiled_in(self.config):
            self.chains = frozenset(names.chain_name(upstreams[one].cluster for one in order) for order in orders(self.config))
        self.mirrors: dict[str, Mirror] | None = None
        """By the configured model: who is asked as well. None: nobody, of any."""
        if environment.mirrors is not None:
            self.mirrors = {one.name: one.mirror for one in self.config.models if one.mirror is not None and one.mirror.share} or None
        self.told = self.config.access_log is not None
        self.vouches = any(one.verify != "gateway" for one in self.config.callers.jwt)
        """Envoy says who some callers are."""
        self.particular = bool(self.pools) or self.chains is not None or self.mirrors is not None
        """There is more to know of a request's only target than who it is."""
        opened = [(settings, settings.open(environment)) for settings in filters]
        handlers: list[tuple[bool, Handler]] = [(settings.early, handler) for settings, handler in opened]
        mirrored = [handler for settings, handler in opened if settings.mirrored]
        if self.config.callers.own_keys:
            # Before a target's slot is taken.
            handlers.append((False, Passing(self.config.providers)))
        quotas = Quotas(self.config, environment.slots)
        self.quotas: Quotas | None = quotas or None
        """None: no target is bounded."""
        if quotas:
            handlers.append((False, quotas))
            mirrored.append(Quotas(_without_lines(self.config), environment.slots))
        self.mirrored: tuple[Handler, ...] = tuple(mirrored)
        """Of copies that are sent to mirrors: all at once, when the head is there."""
        self.early: tuple[Handler, ...] = tuple(handler for early, handler in handlers if early)
        self.filters: tuple[Handler, ...] = tuple(handler for early, handler in handlers if not early)
        self.readers = tuple(handler for handler in self.filters if isinstance(handler, Reader))


def _without_lines(config: Config) -> Config:
    """For copies, which take what is free: none of them stands in a line in front of a client's request."""
    return msgspec.structs.replace(config, models=tuple(msgspec.structs.replace(model, queue=None) for model in config.models))


def encode(settings: Settings, keys: KeyState, *, keys_exist: bool) -> bytes:
    """A message for the workers."""
    return msgspec.msgpack.encode(Message(msgspec.Raw(msgspec.msgpack.encode(settings)), keys, keys_exist))


def decode(data: bytes) -> tuple[str, Message]:
    """An encoded message and its generation."""
    message = msgspec.msgpack.decode(data, type=Message)
    return hashlib.sha256(message.settings).hexdigest()[:12], message


def decode_settings(message: Message) -> tuple[Settings, list[Filter]]:
    """The settings of a message, and those of each of its filters."""
    settings = msgspec.msgpack.decode(message.settings, type=Settings)
    return settings, [msgspec.msgpack.decode(raw, type=FILTERS.find(name)) for name, raw in settings.filters]
