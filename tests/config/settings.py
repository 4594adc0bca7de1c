"""Filters' settings to test with, as a filter would declare them, and a way to load a text."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from extproc.config.load import Loaded, load
from extproc.config.model import HeaderEdits


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    early: ClassVar[bool] = False


class Key(Settings, frozen=True, kw_only=True):
    name: str
    """Whose it is."""
    hash: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    tenant: str = ""


class Auth(Settings, frozen=True, kw_only=True):
    """Who is calling."""

    early: ClassVar[bool] = True
    keys: tuple[Key, ...] = ()
    """The callers' keys."""
    required: bool | None = None


class Route(Settings, frozen=True, kw_only=True):
    pass


class Rule(Settings, frozen=True, kw_only=True):
    models: tuple[str, ...] = ()
    request: HeaderEdits = HeaderEdits()


class Conversations(Settings, frozen=True, kw_only=True):
    ttl: Annotated[float, Meta(gt=0)] = 3600.0


class Headers(Settings, frozen=True, kw_only=True):
    rules: tuple[Rule, ...] = ()


class Cache(Settings, frozen=True, kw_only=True):
    ttl: Annotated[float, Meta(gt=0)] = 3600.0
    store: Literal["memory", "redis"] | None = None
    max_bytes: int = 1024
    max_entry: int = 512

    def __post_init__(self) -> None:
        if self.max_entry > self.max_bytes:
            raise ValueError("`max_entry` is more than `max_bytes`")


class Meter(Settings, frozen=True, kw_only=True):
    early: ClassVar[bool] = True


class Limits(Settings, frozen=True, kw_only=True):
    answer: int = 4096


FILTERS: dict[str, type[Struct]] = {
    "auth": Auth,
    "route": Route,
    "conversations": Conversations,
    "headers": Headers,
    "cache": Cache,
    "limits": Limits,
    "meter": Meter,
}


def find(name: str) -> type[Struct]:
    if name not in FILTERS:
        raise LookupError(f'there is no filter "{name}"')
    return FILTERS[name]


Load = Callable[..., Loaded]


def loader(folder: Path) -> Load:
    def load_text(text: str | bytes, environ: Mapping[str, str] | None = None, *, keys: bool = False) -> Loaded:
        path = folder / "gateway.yaml"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return load(path, environ or {}, has_stored_keys=lambda _: keys, find=find)

    return load_text


def told(loaded: Loaded, severity: str = "error") -> list[tuple[str, int, str]]:
    """Path, line and message of all problems."""
    return [(problem.path, problem.line, problem.message) for problem in loaded.problems if problem.severity == severity]
