"""A provider's keys, if it has several, or one that Envoy alone reads: what they are called, which are absent, what is wrong with them."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from msgspec import Struct
from msgspec.structs import replace

from extproc.config.checks import Report, check_credential
from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence, boolean
from extproc.config.model import Provider
from extproc.config.nearest import quoted
from extproc.config.pool import ProviderKey
from extproc.config.problem import Problems
from extproc.config.references import References, Resolved, Unresolved
from extproc.config.relative import absolute
from extproc.config.walk import child, sound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_VARIABLE = re.compile(r"(?:env:|\$\{)([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}?")


class Keys(Struct, frozen=True):
    """What is known of a provider's `keys` before they are read."""

    names: tuple[str, ...] = ()
    """What they are called that give no name, by their places: never anything of a key itself."""
    absent: frozenset[int] = frozenset()
    """Places of those that refer to nothing, where others of an optional provider are there."""


def prepare_keys(root: Mapping, references: References, problems: Problems) -> tuple[Mapping, dict[str, Keys]]:
    """The configuration, in which nothing refers to a key that may be absent, and what is known of the keys, by provider."""
    providers = root.get("providers")
    if not isinstance(providers, Mapping):
        return root, {}
    found: dict[str, Keys] = {}
    entries = []
    for entry in providers.entries:
        section, at = entry.value, child("$.providers", entry.key.text)
        keys, sealed = (section.get("keys"), section.get("envoy_key_file")) if isinstance(section, Mapping) else (None, None)
        if isinstance(sealed, Scalar) and sealed.text.startswith(("env:", "file:")):
            # What it gives may be the key itself, which would then be told as a path.
            problems.error(f"{at}.envoy_key_file", sealed.mark, "this takes the path of the file itself, without `file:` or `env:`")
        if isinstance(section, Mapping) and isinstance(keys, Sequence):
            path = f"{at}.keys"
            here, absent = _present(keys, path, references, problems) if is_optional(section, references) else (keys, frozenset[int]())
            found[entry.key.text] = Keys(_names(keys), absent)
            section = replace(section, entries=tuple(Entry(one.key, here) if one.key.text == "keys" else one for one in section.entries))
        entries.append(Entry(entry.key, section))
    whole = replace(providers, entries=tuple(entries))
    return replace(root, entries=tuple(Entry(one.key, whole) if one.key.text == "providers" else one for one in root.entries)), found


def is_optional(section: Mapping, references: References) -> bool:
    """Whether a provider says that it is."""
    said = section.get("optional")
    found = references.resolve(said.text, secret=True) if isinstance(said, Scalar) else None
    return isinstance(found, Resolved) and boolean(found.text) is True


def missing(key: Scalar, references: References) -> str | None:
    """Why a key refers to nothing; None if it does not."""
    found = references.resolve(key.text, secret=True)
    if isinstance(found, Unresolved):
        return found.message if found.missing else None
    return f"{key.text} is empty" if found.referred and not found.text.strip() else None


def written(keys: Sequence) -> Iterator[tuple[int, Scalar]]:
    """The places and references of those in a list that are not wrong altogether."""
    for at, item in enumerate(keys.items):
        text = item.get("key") if isinstance(item, Mapping) else item
        if isinstance(text, Scalar):
            yield at, text


def _present(keys: Sequence, path: str, references: References, problems: Problems) -> tuple[Sequence, frozenset[int]]:
    reasons = {at: why for at, text in written(keys) if (why := missing(text, references)) is not None}
    items = list(keys.items)
    for at, why in reasons.items():
        problems.warning(f"{path}[{at}]", items[at].mark, f"{why}; the provider goes on with its other keys")
        items[at] = _placeholder(items[at])
    return replace(keys, items=tuple(items)), frozenset(reasons)


def _placeholder(item: Node) -> Node:
    """What stands where nobody looks."""
    gone = Scalar(item.mark, "absent", plain=False)
    if not isinstance(item, Mapping):
        return gone
    return replace(item, entries=tuple(Entry(entry.key, gone) if entry.key.text == "key" else entry for entry in item.entries))


def _names(keys: Sequence) -> tuple[str, ...]:
    found = [str(at + 1) for at in range(len(keys.items))]
    for at, text in written(keys):
        name = _referred(text.text)
        if _NAME.fullmatch(name) and name not in found:
            found[at] = name
    return tuple(found)


def _referred(text: str) -> str:
    if text.startswith("file:"):
        return PurePath(text[5:]).name
    variable = _VARIABLE.fullmatch(text)
    return variable[1] if variable is not None else ""


def check_keys(path: str, provider: Provider, known: Keys, report: Report) -> None:
    """That a provider has one kind of credential, and that its keys can be told apart."""
    if provider.envoy_key_file is not None and sound(provider.envoy_key_file):
        _check_sealed(f"{path}.envoy_key_file", provider, report)
    keys = provider.keys if sound(provider.keys) else ()
    if not keys:
        if provider.pool != "round_robin" and sound(provider.pool):
            report.warning(f"{path}.pool", "this has no effect: there are no `keys` to choose from")
        return
    if provider.key is not None or provider.aws is not None or provider.google is not None:
        report.error(f"{path}.keys", "`keys` stand in place of `key`, `aws` and `google`; take out all but one")
    if provider.auth == "none":
        report.warning(f"{path}.keys", "this has no effect: `auth: none` sends no key")
    texts: dict[str, int] = {}
    names: dict[str, int] = {}
    for at, item in enumerate(keys):
        if not sound(item) or at in known.absent:
            continue
        place, key = f"{path}.keys[{at}]", section(item)
        where = place if isinstance(item, str) else f"{place}.key"
        name = key.name if key.name is not None else known.names[at]
        if sound(key.key):
            check_credential(where, key.key, report)
            if texts.setdefault(key.key, at) != at:
                report.error(where, f"this is the same key as keys[{texts[key.key]}]")
        if sound(name) and names.setdefault(name, at) != at:
            report.error(f"{place}.name", f"the name {quoted(name)} is taken already by keys[{names[name]}]")


def _check_sealed(path: str, provider: Provider, report: Report) -> None:
    if provider.key is not None or provider.keys or provider.aws is not None or provider.google is not None:
        report.error(path, "`envoy_key_file` stands in place of `key`, `keys`, `aws` and `google`; take out all but one")
    if not (provider.envoy_key_file or "").strip():
        report.error(path, "this is empty; it takes the path of a file")
    if provider.auth == "none":
        report.warning(path, "this has no effect: `auth: none` sends no key")


def section(key: str | ProviderKey) -> ProviderKey:
    """A key with all that can be said of it, whichever way it is written."""
    return ProviderKey(key=key) if isinstance(key, str) else key


def settled(provider: Provider, known: Keys, folder: Path) -> Provider:
    """The provider with the keys that are there, each with its name; with one that needs nothing else, in `key`. `folder`: the one that
    paths are relative to.
    """
    if provider.envoy_key_file is not None:
        return absolute(provider, folder, "envoy_key_file")
    if not provider.keys:
        return provider
    there = [(at, section(key)) for at, key in enumerate(provider.keys) if at not in known.absent]
    keys = tuple(replace(key, name=key.name or known.names[at]) for at, key in there)
    if len(keys) == 1 and keys[0].concurrency is None and keys[0].requests_per_minute is None:
        return replace(provider, key=keys[0].key, keys=())
    return replace(provider, keys=keys)
