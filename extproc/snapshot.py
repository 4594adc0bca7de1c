"""The configuration as workers have it: read, checked and resolved by the control process, sent as one message, swapped in one assignment.

A request keeps the snapshot that it began with. The adapter, which has no memory, finds it again by its generation, a digest of
what it says: so that a worker that was restarted, or that is not the gate's own, agrees.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from extproc.config.lookup import filter_type
from extproc.config.model import Config
from extproc.environment import Environment
from extproc.filter import Filter, Handler
from extproc.keys import StoredKey


class Message(Struct, frozen=True):
    """A snapshot as the control process sends it. Holds credentials: it travels over a socket that only the owner can open."""

    config: Config
    filters: tuple[tuple[str, msgspec.Raw], ...]
    """Name and settings of each filter, in order."""
    keys: tuple[StoredKey, ...] = ()
    keys_exist: bool = False
    clusters: dict[str, str] = {}
    """By provider: its name in Envoy, where that is not its own (`control.addresses`)."""
    private: bool = True
    """Only this machine can reach the Envoy that asks, if `listener` says so: not known of somebody else's Envoy."""


class Snapshot:
    """A configuration, ready for traffic."""

    __slots__ = ("config", "early", "environment", "filters", "generation", "upstreams")

    def __init__(self, generation: str, environment: Environment, filters: Sequence[Filter]) -> None:
        self.generation = generation
        self.config = environment.config
        self.environment = environment
        self.upstreams = environment.upstreams
        handlers = [(settings.early, settings.open(environment)) for settings in filters]
        self.early: tuple[Handler, ...] = tuple(handler for early, handler in handlers if early)
        self.filters: tuple[Handler, ...] = tuple(handler for early, handler in handlers if not early)


def encode(message: Message) -> bytes:
    """A message for the workers."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> tuple[str, Message, list[Filter]]:
    """Generation, message and filter settings of an encoded message."""
    message = msgspec.msgpack.decode(data, type=Message)
    filters = [msgspec.msgpack.decode(settings, type=filter_type(name)) for name, settings in message.filters]
    return hashlib.sha256(data).hexdigest()[:12], message, filters
