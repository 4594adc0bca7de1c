"""Completes providers' sections from the catalogue, before anything is read of them: what comes out says all that it means.

The catalogue's part of a section stands where the section itself stands, so that whatever is wrong with it is told there.
"""

from collections.abc import Mapping as Map
from typing import Any

import msgspec
from msgspec.structs import replace

from extproc.config.catalogue import MODEL, PLACEHOLDER, Known, catalogue, unlisted
from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.forms import SettingValue
from extproc.config.model import Provider
from extproc.config.nearest import hint, nearest, quoted
from extproc.config.problem import Mark, Problems
from extproc.config.references import References, Resolved
from extproc.config.scalars import is_nothing, wrong_text
from extproc.config.walk import child

_STANDS_IN = "unknown"
"""For a setting that is not there: the address stays one, and only the setting itself is told."""

_ADDRESS = {"dialect", "base_url"}
_VALUE = msgspec.inspect.type_info(SettingValue)


def complete_providers(root: Mapping, references: References, problems: Problems) -> Mapping:
    """The configuration with providers' sections that say all by themselves. What cannot be completed is told in `problems`."""
    providers = root.get("providers")
    if not isinstance(providers, Mapping):
        return root
    completed = tuple(Entry(entry.key, _completed(entry, references, problems)) for entry in providers.entries)
    whole = replace(providers, entries=completed)
    return replace(root, entries=tuple(Entry(entry.key, whole) if entry.key.text == "providers" else entry for entry in root.entries))


def _completed(entry: Entry, references: References, problems: Problems) -> Node:
    name, section = entry.key.text, entry.value
    if is_nothing(section):
        # `groq:` with nothing below it.
        section = Mapping(entry.key.mark, (), 1)
    if not isinstance(section, Mapping):
        return section
    path = child("$.providers", name)
    meant = _meant(entry.key, section, path, references, problems)
    if meant is None:
        return section
    known = catalogue().get(meant)
    if known is None:
        return _with_address(section)
    return _Completion(meant, known, section, path, references, problems).whole()


def _meant(key: Scalar, section: Mapping, path: str, references: References, problems: Problems) -> str | None:
    """The entry that completes a section; None if none is to. What is no entry's name stands for a mistake that has been told."""
    named = section.get("catalogue")
    if isinstance(named, Scalar) and not is_nothing(named):
        found = references.resolve(named.text, secret=True)
        if not isinstance(found, Resolved):
            return None
        if found.text not in catalogue():
            problems.error(child(path, "catalogue"), named.mark, f"{quoted(found.text)} is not in the catalogue{unlisted(found.text)}")
        return found.text
    given = {entry.key.text for entry in section.entries}
    if given >= _ADDRESS or _misspelt(given):
        return None
    if missing := _ADDRESS - given if _ADDRESS & given else None:
        # Half of an address may be somebody else's, who is not to be sent the key of whoever bears the name.
        advice = f"; to take it from the catalogue, say `catalogue: {key.text}`" if key.text in catalogue() else ""
        problems.error(path, section.mark, f"the key {quoted(missing.pop())} is missing{advice}")
        return ""
    if key.text not in catalogue():
        message = f"the keys `dialect` and `base_url` are missing, and {quoted(key.text)} is not in the catalogue{unlisted(key.text)}"
        problems.error(path, key.mark, message)
    return key.text


def _misspelt(given: set[str]) -> bool:
    """Whether a key looks like one that is missing: it is told as a misspelt one."""
    unknown = given - {field.encode_name for field in msgspec.structs.fields(Provider)}
    return any(nearest(word, _ADDRESS | {"catalogue"}) for word in unknown)


def _with_address(section: Mapping) -> Mapping:
    """What is told once need not be told again as two missing keys."""
    return _merged(section, {"dialect": "openai", "base_url": "https://unknown"}, section.mark)


class _Completion:
    """One section, and the entry that completes it."""

    def __init__(self, name: str, known: Known, section: Mapping, path: str, references: References, problems: Problems) -> None:
        self._name = name
        self._known = known
        self._section = section
        self._path = path
        self._references = references
        self._problems = problems

    def whole(self) -> Mapping:
        """The section with all that the entry adds to it."""
        base = self._known.section()
        self._leave_out_credentials(base)
        self._check_spoken(base)
        self._leave_out_removed(base)
        used = self._used(base)
        settings = self._settings(used)
        values = {name: self._value(node) for name, node in settings.items()}
        filled = _filled(base, {name: values.get(name, _STANDS_IN) for name in used})
        given = self._section.get("settings")
        if used or isinstance(given, Mapping):
            self._tell_unknown(given)
            nodes = {name: node for name, node in settings.items() if not (isinstance(given, Mapping) and given.get(name))}
            filled["settings"] = nodes
        return _merged(self._section, filled, self._section.mark)

    def _check_spoken(self, base: dict[str, Any]) -> None:
        """An entry may be ahead of us: whoever gives the dialect himself knows what he does."""
        known = self._known
        if known.spoken or self._section.get("dialect") is not None:
            return
        self._problems.error(self._path, self._section.mark, f"{quoted(self._name)} speaks `{known.dialect}`, which is not supported yet")
        base["dialect"] = "openai"
        base.pop("auth", None)
        base.pop("aws", None)
        base.pop("google", None)

    def _leave_out_credentials(self, base: dict[str, Any]) -> None:
        """A request is signed, gets a token, or has a key of one kind."""
        keys = self._section.get("keys")
        several = keys is not None and not (isinstance(keys, Sequence) and not keys.items)
        if not several and self._section.get("key") is None and self._section.get("envoy_key_file") is None:
            return
        for name in ("key", "aws", "google"):
            base.pop(name, None)

    def _leave_out_removed(self, base: dict[str, Any]) -> None:
        """A header that the section removes is not set: removing comes before setting."""
        removed: Node | None = self._section
        for key in ("headers", "request", "remove"):
            removed = removed.get(key) if isinstance(removed, Mapping) else None
        if isinstance(removed, Sequence) and "headers" in base:
            names = {item.text for item in removed.items if isinstance(item, Scalar)}
            wanted = base["headers"]["request"]["set"]
            base["headers"]["request"]["set"] = {name: value for name, value in wanted.items() if name not in names}

    def _used(self, base: dict[str, Any]) -> list[str]:
        """Settings that what the entry adds depends on, in order."""
        mine = self._section
        texts = [] if mine.get("base_url") is not None else [base["base_url"]]
        paths = mine.get("paths")
        texts += [text for name, text in base.get("paths", {}).items() if not (isinstance(paths, Mapping) and paths.get(name) is not None)]
        texts += base.get("headers", {}).get("request", {}).get("set", {}).values()
        aws = mine.get("aws")
        texts += [] if isinstance(aws, Mapping) and aws.get("region") is not None else base.get("aws", {}).values()
        texts += [self._default(name) for text in texts for name in PLACEHOLDER.findall(text)]
        return [name for name in dict.fromkeys(name for text in texts for name in PLACEHOLDER.findall(text)) if name != MODEL]

    def _default(self, name: str) -> str:
        """What is taken for a setting that is not given. Other settings may stand in it."""
        given = self._section.get("settings")
        if name == MODEL or (isinstance(given, Mapping) and given.get(name) is not None):
            return ""
        return self._known.settings[name].default or ""

    def _settings(self, used: list[str]) -> dict[str, Node]:
        """The settings in use, given or by default. One that has neither is told."""
        given = self._section.get("settings")
        found: dict[str, Node] = {}
        for name in sorted(used, key=lambda name: bool(PLACEHOLDER.search(self._default(name)))):
            setting = self._known.settings[name]
            node = given.get(name) if isinstance(given, Mapping) else None
            if node is None and setting.default is not None:
                text = PLACEHOLDER.sub(lambda other: self._value(found[other[1]]) if other[1] in found else _STANDS_IN, setting.default)
                node = Scalar(self._section.mark, text, plain=False)
            if node is None:
                message = f"the setting {quoted(name)} is missing ({setting.about}): `settings: {{{name}: ...}}`"
                self._problems.error(self._path, self._section.mark, message)
                continue
            found[name] = node
        return found

    def _tell_unknown(self, given: Node | None) -> None:
        for entry in given.entries if isinstance(given, Mapping) else ():
            if entry.key.text not in self._known.settings:
                path = child(child(self._path, "settings"), entry.key.text)
                words = hint(entry.key.text, self._known.settings, f"{quoted(self._name)} has") or f"; {quoted(self._name)} has none"
                self._problems.error(path, entry.key.mark, f"unknown setting {quoted(entry.key.text)}{words}")

    def _value(self, node: Node) -> str:
        """A setting's text. What is wrong with it is told when it is read as a setting."""
        found = self._references.resolve(node.text, secret=True) if isinstance(node, Scalar) else None
        if not isinstance(found, Resolved) or wrong_text(found.text, _VALUE):
            return _STANDS_IN
        return found.text


def _filled(value: Any, settings: Map[str, str]) -> Any:
    """`value` with its placeholders replaced."""
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: settings.get(found[1], found[0]), value)
        case dict():
            return {key: _filled(one, settings) for key, one in value.items()}
        case list():
            return [_filled(one, settings) for one in value]
    return value


def _merged(section: Mapping, base: Map[str, Any], mark: Mark) -> Mapping:
    """`section` with what `base` says beside it. Where both say something the section counts; mappings are merged key by key."""
    entries = [
        Entry(entry.key, _merged(entry.value, base[entry.key.text], mark))
        if isinstance(entry.value, Mapping) and isinstance(base.get(entry.key.text), dict)
        else entry
        for entry in section.entries
    ]
    given = {entry.key.text for entry in section.entries}
    entries += [Entry(Scalar(mark, key, plain=True), _node(value, mark)) for key, value in base.items() if key not in given]
    return replace(section, entries=tuple(entries))


def _node(value: Any, mark: Mark) -> Node:
    """A plain value as a node."""
    match value:
        case dict():
            return Mapping(mark, tuple(Entry(Scalar(mark, key, plain=True), _node(one, mark)) for key, one in value.items()), 1)
        case list():
            return Sequence(mark, tuple(_node(one, mark) for one in value), 1)
        case bool() | int():
            return Scalar(mark, str(value).lower(), plain=True)
        case Scalar() | Sequence() | Mapping():
            return value
    return Scalar(mark, str(value), plain=False)
