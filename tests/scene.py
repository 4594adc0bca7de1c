"""What engine and filters are tested with: a store and a journal in this process, and a small configuration."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from extproc import Entry, Environment, Identity, Lead, Request, StoredKey
from extproc.cachestore.entry import new_lead
from extproc.config.model import Config, Model, Provider
from extproc.endpoints import endpoint
from extproc.engine import Engine
from extproc.exchange import Exchange
from extproc.keys import KeyState, StoredKeys
from extproc.ledger.record import Record
from extproc.routes import Routes
from extproc.snapshot import Settings, encode
from extproc.upstream import compile_upstream
from filters.auth import Auth
from filters.cache import Cache
from filters.headers import Headers
from filters.meter import Meter
from filters.route import Route

OPENAI = Provider(dialect="openai", base_url="https://openai.test/v1", key="sk-openai")
ANTHROPIC = Provider(dialect="anthropic", base_url="https://anthropic.test/v1", key="sk-anthropic")

CONFIG = Config(
    providers={"openai": OPENAI, "anthropic": ANTHROPIC},
    models=(
        Model(name="gpt", targets=("openai/gpt",)),
        Model(name="fast", targets=("openai/gpt-fast",), aliases=("quick",)),
        Model(name="claude-*", targets=("anthropic",)),
        Model(name="both", targets=("openai/gpt", "anthropic/claude")),
        Model(name="other", targets=("anthropic/claude", "openai/gpt")),
    ),
)

DEFAULT: tuple[tuple[str, Struct], ...] = (
    ("meter", Meter()),
    ("auth", Auth()),
    ("route", Route()),
    ("headers", Headers()),
    ("cache", Cache()),
)

T = TypeVar("T")

CHAT = {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]}


class Books(list[Record]):
    """A journal in memory."""


class Shelf:
    """A store without a clock: keeps what it is given, and hands out one lead a key. What waits for a lead is told nothing."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Entry] = {}
        self.leads: dict[bytes, Lead] = {}
        self.asked: list[bytes] = []
        self.abandoned: list[bytes] = []

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        self.asked.append(key)
        if key in self.kept:
            return self.kept[key]
        if not lead or key in self.leads:
            return None
        self.leads[key] = new_lead()
        return self.leads[key]

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        self.kept[key] = entry
        if lead is not None:
            assert self.leads.pop(key) == lead

    async def abandon(self, key: bytes, lead: Lead) -> None:
        assert self.leads.pop(key) == lead
        self.abandoned.append(key)


class Scene:
    """An engine with all that it needs."""

    def __init__(
        self, config: Config = CONFIG, filters: tuple[tuple[str, Struct], ...] = DEFAULT, keys: tuple[StoredKey, ...] = (),
        *, shelf: Shelf | None = None,
    ) -> None:  # fmt: skip
        self.books = Books()
        self.shelf = shelf or Shelf()
        self.engine = Engine(self.books, self.shelf, lambda _: self.shelf)
        self.generation = self.load(config, filters, keys)

    def load(self, config: Config, filters: tuple[tuple[str, Struct], ...] = DEFAULT, keys: tuple[StoredKey, ...] = ()) -> str:
        return self.engine.load(message(config, filters, keys))

    def exchange(self, headers: dict[str, str] | None = None) -> Exchange:
        return Exchange(self.engine.current, headers or head())


def message(config: Config = CONFIG, filters: tuple[tuple[str, Struct], ...] = DEFAULT, keys: tuple[StoredKey, ...] = ()) -> bytes:
    """A snapshot as the control process sends it."""
    raw = tuple((name, msgspec.Raw(msgspec.msgpack.encode(settings))) for name, settings in filters)
    return encode(Settings(msgspec.structs.replace(config, filters=()), raw), KeyState(added=keys), keys_exist=bool(keys))


def environment(
    config: Config = CONFIG, keys: tuple[StoredKey, ...] = (), *, keys_exist: bool = False, redis: Shelf | None = None
) -> Environment:
    """What a filter is opened with."""
    return Environment(
        config=config,
        routes=Routes(config.models),
        upstreams={name: compile_upstream(name, provider) for name, provider in config.providers.items()},
        stored_keys=StoredKeys(KeyState(added=keys), exist=keys_exist or bool(keys)),
        journal=Books(),
        memory=Shelf(),
        redis=redis,
    )


def head(path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> dict[str, str]:
    """A request's headers as Envoy gives them. Underscores become hyphens; an empty value leaves the header out."""
    usual = {
        ":method": method, ":path": path, ":authority": "localhost:8080", ":scheme": "http", "x-request-id": "r-1",
        "x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1", "content-type": "application/json", "user-agent": "test/1",
    }  # fmt: skip
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return {name: value for name, value in (usual | given).items() if value}


def request(headers: dict[str, str] | None = None, body: bytes | dict[str, Any] = b"", tenant: str = "") -> Request:
    """A request as a filter sees it."""
    headers = headers or head()
    path, method = headers[":path"], headers[":method"]
    made = Request(method, path, headers, endpoint(method, path, headers), Record(id="r-1", time=0.0))
    made.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
    made.identity = Identity(tenant, tenant)
    return made


def run(awaitable: Awaitable[T]) -> T:
    """The result of what does not wait."""
    step = awaitable.__await__()
    try:
        next(step)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")
