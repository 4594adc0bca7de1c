"""What people call whatever an id is of: for lists, notifications and whoever else shows ids to them."""

import re
from collections.abc import Mapping

from msgspec import Struct

from extproc.identity.ids import PREFIXES, Kind, kind_of

NAMED: tuple[Kind, ...] = ("organization", "project", "team", "user", "service_account", "key", "plan")
"""What has a name."""
_ID = re.compile(rf"(?<![\w-])(?:{'|'.join(PREFIXES[kind] for kind in NAMED)})_[a-z0-9-]+")


class Named(Struct, frozen=True):
    """Something that has an id and a name."""

    id: str
    name: str
    prefix: str = ""
    """How a key begins, where that is known."""
    organization: tuple[str, ...] = ()
    """Id and name of the one that it is in."""
    team: tuple[str, ...] = ()
    """Id and name of a key's."""


def ids_in(text: str) -> set[str]:
    """The ids that a text names, such as the counter `team team_...: cost a month|key_...`."""
    return {found for found in _ID.findall(text) if kind_of(found) in NAMED}


def in_words(text: str, names: Mapping[str, str]) -> str:
    """The same text with each id that is known behind its name: `team red (team_...)`."""
    return _ID.sub(lambda found: f"{names[found[0]]} ({found[0]})" if found[0] in names else found[0], text)
