"""Whose configuration has changed so that what is known of him says nothing any more: a provider that is asked elsewhere, otherwise or
with another credential, or one key that was replaced.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from extproc.config.model import Config, Provider
from extproc.config.pool import ProviderKey
from extproc.standing.cooling import Name

_BESIDE = frozenset(("keys", "pool", "breaker", "concurrency", "health", "optional", "catalogue", "prices"))
"""What says nothing of what a provider will answer. Keys are looked at one by one."""


class Asked(Struct, frozen=True):
    """How a provider is asked, as digests, which the next control process may be told: they hold no credential."""

    whole: str
    """Of all but its keys, where it has several."""
    keys: dict[str, str] = {}
    """Of each of those, by its name."""


def asked(config: Config) -> dict[str, Asked]:
    """By the provider's name."""
    return {name: Asked(way(provider), _keys(provider)) for name, provider in config.providers.items()}


def way(provider: Provider) -> str:
    """How a provider is asked, but for its keys: as a digest."""
    return _digest(_said(provider))


def renewed(before: Mapping[str, Asked], after: Mapping[str, Asked]) -> Iterator[Name]:
    """Names without a model: of whole providers, also without a key, and of single keys. Who is gone is among them: another one may have
    his name one day.
    """
    for name, old in before.items():
        new = after.get(name)
        if new is None or new.whole != old.whole:
            yield Name(name, "")
        else:
            yield from (Name(name, "", key) for key, digest in old.keys.items() if new.keys.get(key) != digest)


def _said(provider: Provider) -> dict[str, Any]:
    """What decides and is not as it is by default, so that a later version that has more fields finds the same digest."""
    return {each.name: value for each in _DECIDES if (value := getattr(provider, each.name)) != _default(each)}


def _default(each: FieldInfo) -> object:
    return each.default_factory() if each.default_factory is not NODEFAULT else each.default


def _keys(provider: Provider) -> dict[str, str]:
    return {key.name or "": _digest(key.key) for key in provider.keys if isinstance(key, ProviderKey)}


def _digest(value: object) -> str:
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


_DECIDES: Iterable[FieldInfo] = tuple(each for each in fields(Provider) if each.name not in _BESIDE)
