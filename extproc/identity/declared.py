"""What the configuration declares, on its way into the store."""

from typing import Any

from msgspec import Struct

from extproc.identity.ids import Kind


class Row(Struct, frozen=True):
    """One thing that is declared."""

    kind: Kind
    id: str
    """Made of its name: see `ids.declared`."""
    values: dict[str, Any]
    """By column. `disabled`: whether it is suspended; of a key, `secret` in place of its `digest`: the key itself."""
