"""The catalogue of providers (`catalogue.yaml`): what is known of each, so that a section of `gateway.yaml` need not say it.

Read by the control process and by commands, never by workers: `complete.py` makes sections whole before anything else looks at them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from extproc.config.forms import Auth, HeaderName, HeaderValue, Name, Operation
from extproc.config.model import Paths
from extproc.config.nearest import hint, nearest, quoted
from extproc.dialects import DIALECTS
from extproc.dialects.quirks import Quirks

SHIPPED = Path(__file__).with_name("catalogue.yaml")

Dialect = Literal["openai", "anthropic", "responses", "gemini", "cohere", "ollama", "bedrock"]
Variable = Annotated[str, Meta(pattern=r"^[A-Z_][A-Z0-9_]{1,63}$")]

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
MODEL = "model"
"""The one placeholder that is not a setting: it is filled in for each request."""

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of an address that only the operator knows."""

    about: str
    """What it is."""
    default: str | None = None
    """What is taken where `gateway.yaml` does not say; best a reference such as `env:NAME`. `{name}` in it is another setting."""


class Known(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider of the catalogue."""

    title: str
    """Its name as it writes it."""
    docs: Annotated[str, Meta(pattern=r"^https://[^\s]+$")]
    """Where its API is described."""
    dialect: Dialect
    """What it speaks."""
    base_url: str
    """See `Provider.base_url`; `{name}` is one of `settings`."""
    settings: dict[Name, Setting] = {}
    """What `{name}` in `base_url`, `paths` and `headers` stands for."""
    auth: Auth | Literal["aws"] | None = None
    """How its key is sent, see `Provider.auth`; `aws`: requests are signed (Signature Version 4) for its setting `region`, `google`: they
    get access tokens, unless a key is given."""
    env: Variable | None = None
    """The environment variable that usually holds its key. Without one it needs no key."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Headers that each request needs beside the key."""
    paths: Paths = Paths()
    """See `Provider.paths`."""
    endpoints: tuple[Operation, ...] = ("chat",)
    """What it offers of what we know."""
    quirks: Quirks = Quirks()
    """Where it departs from its dialect."""
    prices: str | None = None
    """See `Provider.prices`."""

    @property
    def also(self) -> list[str]:
        """Other dialects that it speaks, see `Provider.also`: those whose conversations are among its endpoints."""
        others = {"responses": "responses", "messages": "anthropic"} if self.dialect in ("openai", "anthropic") else {}
        return [dialect for endpoint, dialect in others.items() if endpoint in self.endpoints and dialect != self.dialect]

    @property
    def spoken(self) -> bool:
        """Whether requests can be brought to it: its dialect is one of ours."""
        return self.dialect in DIALECTS

    def texts(self) -> Iterator[tuple[str, str]]:
        """All texts that may hold placeholders, and the key that each of them stands under."""
        yield "base_url", self.base_url
        for name, value in self.headers.items():
            yield f"headers.{name}", value
        for name, value in msgspec.structs.asdict(self.paths).items():
            if value is not None:
                yield f"paths.{name}", value

    def placeholders(self) -> set[str]:
        """Names of the settings that its texts, and their defaults, ask for."""
        asked = {name for _, text in self.texts() for name in PLACEHOLDER.findall(text)} - {MODEL}
        defaults = [self.settings[name].default or "" for name in asked if name in self.settings]
        return asked.union(*(PLACEHOLDER.findall(text) for text in defaults))

    def section(self) -> dict[str, Any]:
        """It as a section of `gateway.yaml`, placeholders unfilled. Nothing is in it that is not said."""
        said: dict[str, Any] = {"dialect": self.dialect, "base_url": self.base_url}
        if self.env is not None:
            said["key"] = f"env:{self.env}"
        if self.headers:
            said["headers"] = {"request": {"set": dict(self.headers)}}
        paths = {name: path for name, path in msgspec.structs.asdict(self.paths).items() if path is not None}
        said |= {"paths": paths, "quirks": msgspec.json.decode(msgspec.json.encode(self.quirks)), "endpoints": list(self.endpoints)}
        said |= {"aws": {"region": "{region}"}} if self.auth == "aws" else {"auth": self.auth}
        said |= {"prices": self.prices, "also": self.also}
        found = {key: value for key, value in said.items() if value not in (None, {}, [])}
        return {**found, "google": {}} if self.auth == "google" else found


@cache
def catalogue() -> Mapping[str, Known]:
    """All providers by name, in the order of the file."""
    return read_catalogue(SHIPPED.read_text(encoding="utf-8"))


_BEGINS = 3
"""Letters that may be the beginning of a name."""
_FEW = 8


def unlisted(name: str) -> str:
    """The end of a sentence about a name that is not in the catalogue: `azure` is the beginning of several that are, and `azur` is, too."""
    known = catalogue()
    begin = [quoted(other) for other in known if other.startswith(name.lower())] if len(name) >= _BEGINS else []
    if 0 < len(begin) <= _FEW:
        return f"; did you mean {' or '.join(begin)}?"
    return hint(name, known, "") if nearest(name, known) else "; `headgate providers` lists it"


def read_catalogue(text: str) -> Mapping[str, Known]:
    """A catalogue from its YAML. Raises `msgspec.ValidationError` for what is no catalogue."""
    return msgspec.convert(yaml.load(text, Loader=_LOADER), dict[Name, Known])  # noqa: S506 - a safe loader, in C where there is one
