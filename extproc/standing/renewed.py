"""Whose configuration has changed so that what is known of him says nothing any more: a provider that is asked elsewhere, otherwise or
with another credential, or one key that was replaced.
"""

from collections.abc import Iterator

from msgspec.structs import fields

from extproc.config.model import Config, Provider
from extproc.config.pool import ProviderKey
from extproc.standing.cooling import Name

_BESIDE = frozenset(("keys", "pool", "breaker", "concurrency", "health", "optional", "catalogue", "prices"))
"""What says nothing of what a provider will answer. Keys are looked at one by one."""
_DECIDES = tuple(each.name for each in fields(Provider) if each.name not in _BESIDE)


def renewed(before: Config, after: Config) -> Iterator[Name]:
    """Names without a model: of whole providers, also without a key, and of single keys. Who is gone is among them: another one may have
    his name one day.
    """
    for name, old in before.providers.items():
        new = after.providers.get(name)
        if new is None or any(getattr(old, each) != getattr(new, each) for each in _DECIDES):
            yield Name(name, "")
        else:
            keys = _keys(new)
            yield from (Name(name, "", key) for key, credential in _keys(old).items() if keys.get(key) != credential)


def _keys(provider: Provider) -> dict[str, str]:
    return {key.name or "": key.key for key in provider.keys if isinstance(key, ProviderKey)}
