"""Optional providers whose key is not there: found before anything else is read, so that what else they refer to may be missing, too."""

from msgspec.structs import replace

from extproc.config.credentials import is_optional, missing, written
from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.references import References


def absent_providers(root: Node, references: References) -> dict[str, str]:
    """Names of the `optional: true` providers of a configuration whose `key`, or access key, refers to nothing, and why it does."""
    providers = root.get("providers") if isinstance(root, Mapping) else None
    if not isinstance(providers, Mapping):
        return {}
    reasons = {entry.key.text: _missing_key(entry.value, references) for entry in providers.entries}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def split_providers(root: Mapping, absent: dict[str, str]) -> tuple[Mapping, Mapping]:
    """The configuration without the absent providers, and their sections."""
    providers = root.get("providers")
    if not isinstance(providers, Mapping):
        return root, Mapping(root.mark, (), 1)
    here = providers.without(*absent)
    gone = replace(providers, entries=tuple(entry for entry in providers.entries if entry.key.text in absent), faults=())
    entries = tuple(Entry(entry.key, here) if entry.key.text == "providers" else entry for entry in root.entries)
    return replace(root, entries=entries), gone


def _missing_key(provider: Node, references: References) -> str | None:
    if not isinstance(provider, Mapping):
        return None
    if not is_optional(provider, references):
        return None
    key, keys, aws, google = (provider.get(name) for name in ("key", "keys", "aws", "google"))
    if isinstance(aws, Mapping):
        key = aws.get("access_key") or key
    elif isinstance(google, Mapping):
        key = google.get("credentials") or key
    if isinstance(key, Scalar):
        return missing(key, references)
    if not isinstance(keys, Sequence) or not keys.items:
        return None
    reasons = [missing(text, references) for _, text in written(keys)]
    if len(reasons) < len(keys.items):
        return None
    return None if None in reasons else "; ".join(filter(None, reasons))
