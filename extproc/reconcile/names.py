"""Which names are of one model: a provider bills `gpt-4o-2024-08-06`, `Claude Haiku 4.5` or `Claude4.6Sonnet`, and the ledger has `gpt-4o`,
`claude-haiku-4-5-20251001` or `us.anthropic.claude-sonnet-4-6`.
"""

import re
from collections.abc import Iterable, Mapping

_WHERE = re.compile(r"^(?:arn:[^/]*/)?(?:(?:us|us-gov|eu|apac|global|jp|au|ca|sa)\.)?(?:(?:[a-z]+|ai21)\.)?")
"""How Bedrock begins a model's name: a profile's region, and who made it."""
_VERSION = re.compile(r"(?:[-@_](?:20\d\d-?[01]\d-?[0-3]\d|[01]\d[0-3]\d|latest|preview)|-v\d+(?::\d+)*|-\d+:\d+|:\d+)+$")
_WORD = re.compile(r"[a-z]+|\d+")

Family = tuple[tuple[str, ...], tuple[str, ...]]


def family(name: str) -> Family:
    """The same for all names of a model: its words, in whatever order, and its numbers, without the date of a version."""
    text = name.lower().strip().rpartition("/")[2] if not name.startswith("arn:") else name.lower()
    bare = _VERSION.sub("", _WHERE.sub("", text)) or text
    words = _WORD.findall(bare)
    # `Nova 2.0 Lite` is `nova-2-lite`.
    return tuple(sorted(word for word in words if word.isalpha())), tuple(word for word in words if word.isdigit() and int(word))


def matched(theirs: Iterable[str], ours: Iterable[str], same: Mapping[str, str]) -> dict[str, str]:
    """What each name is called in the comparison. `same`: what the operator says: the ledger's name, by the provider's.

    A model that both sides call by the same names keeps them, version for version. Where they do not, all its versions are put together:
    one side may tell `gpt-4o` where the other one tells its version, or, of an answer that broke off, only what was asked for.
    """
    theirs, ours = set(theirs), set(ours)
    said = {name: same.get(name, name) for name in theirs} | {name: name for name in ours}
    families: dict[Family, tuple[set[str], set[str]]] = {}
    for side, names in enumerate((theirs, ours)):
        for name in names:
            families.setdefault(family(said[name]), (set(), set()))[side].add(said[name])
    called = {}
    for their, our in families.values():
        together = bool(their and our) and their != our
        for name in their | our:
            called[name] = min(their | our, key=lambda each: (len(each), each)) if together else name
    return {name: called[word] for name, word in said.items()}
