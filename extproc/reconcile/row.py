"""What a provider's export and the ledger are compared as: so much of a kind, of a model, on a day; and what is wrong with a file."""

from datetime import date
from decimal import Decimal

from msgspec import Struct

KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "input_audio", "output_audio", "images", "seconds", "characters")
"""Of tokens and other pieces. None holds another: `input` is what no cache had and none keeps, `cache_write` what one keeps for 5 minutes.
A kind that an export does not tell by itself is in the one that holds it: see `ledger.HOLDS`."""


class Row(Struct, frozen=True):
    """A line of an export."""

    day: date
    """UTC."""
    model: str = ""
    """As the provider calls it. Empty: all models together."""
    kind: str = ""
    """One of `KINDS`, or what else the provider sells, in its words. Empty: all kinds together."""
    quantity: Decimal | None = None
    """As it is written, in `unit`s. None: the export does not tell it."""
    unit: int = 1
    """So many pieces is one: 1,000 where it counts thousands of tokens."""
    money: Decimal | None = None
    """US dollars. None: the export does not tell it."""


class Malformed(ValueError):
    """A file that cannot be read: says where, and which column or field is to blame."""

    def __init__(self, file: str, place: str, what: str) -> None:
        super().__init__(": ".join(part for part in (file, place, what) if part))
