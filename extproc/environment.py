"""What the filters of one snapshot share: the configuration, what was compiled from it, and the worker's own services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from extproc.aside import Aside, Here
from extproc.callers.directory import Directory, NoDirectory
from extproc.callers.tokens import NoSets, Sets
from extproc.config.model import Config
from extproc.keys import StoredKeys
from extproc.ledger.record import Record
from extproc.limits.limit import Limits, Nowhere
from extproc.limits.quotes import NoQuotes, Quotes
from extproc.limits.shared import SharedLimits
from extproc.mirrored import Copies
from extproc.price import Price
from extproc.room import Room
from extproc.routes import Routes
from extproc.slots.atonce import AtOnce
from extproc.slots.slot import Slots
from extproc.standing.view import View
from extproc.upstream import Upstream

if TYPE_CHECKING:
    from extproc.cachestore.entry import Store
    from extproc.turns.turn import Turns


class Journal(Protocol):
    """Where ended requests are written down."""

    def append(self, record: Record) -> None:
        """Once a request, after its end."""


def _alone() -> Limits:
    return SharedLimits(Nowhere(), lambda: 1)


class Environment(Struct, frozen=True):
    """Given to each filter's `open`."""

    config: Config
    routes: Routes
    upstreams: Mapping[str, Upstream]
    stored_keys: StoredKeys
    """Keys of the state folder, beside those that the configuration holds."""
    journal: Journal
    memory: Store
    """The cache that the workers of this machine share."""
    redis: Store | None
    """The cache of the fleet, where one is configured."""
    aside: Aside = Here()
    """Where the work on bulky bodies is done."""
    private: bool = True
    """The Envoy that asks listens where `listener` says. False for somebody else's, which strangers may reach."""
    turns: Turns | None = None
    """Where conversations are kept that providers do not remember; None: nowhere."""
    redis_turns: Turns | None = None
    """Where the fleet keeps them, where a Redis is configured."""
    standing: View = field(default_factory=View)
    """Which targets are left alone for now."""
    slots: Slots = field(default_factory=AtOnce)
    """Who hands out the slots of tenants, targets and providers."""
    limits: Limits = field(default_factory=_alone)
    """Who counts what is used of limits and budgets."""
    leased: Limits = field(default_factory=_alone)
    """The same, and takes leases for the wants that may have some."""
    prices: Mapping[str, Price] = {}
    """By `provider/model`: what targets charge, where somebody asks for it."""
    quotes: Quotes = field(default_factory=NoQuotes)
    """Who knows what others charge."""
    issuers: Sets = field(default_factory=NoSets)
    """Keys of the issuers whose tokens are taken."""
    directory: Directory = field(default_factory=NoDirectory)
    """Who is meant by what tokens and certificates say, and which teams somebody is in."""
    room: Room = field(default_factory=Room)
    """For the bodies of requests."""
    mirrors: Copies | None = None
    """Sends copies of requests to mirrors; None: nothing is mirrored."""
