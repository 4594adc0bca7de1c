"""What can be set at each level of identities: for a whole organization, for a team, for one key. `levels.py` says how it is inherited.

Plain values: read from JSON by the store, from YAML by the configuration, told to workers as msgpack.
"""

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from msgspec import Meta, Struct

from extproc.limits.window import is_zone

Unit = Literal["requests", "input_tokens", "output_tokens", "tokens", "cost", "concurrency"]
Window = Literal["second", "minute", "hour", "day", "week", "month"]
Pattern = Annotated[str, Meta(min_length=1, max_length=256)]
Word = Annotated[str, Meta(min_length=1, max_length=128)]

_MOST = 1_000_000_000_000


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of something may be used in some time, by all together that are below the level where it stands."""

    unit: Unit
    """What is counted: `cost` in US dollars, tokens and requests as they are, `concurrency` as requests under way at once."""
    amount: Decimal
    """How much. 0 lets nothing through."""
    window: Window | None = None
    """A calendar's unit in `zone`; None where `seconds` are given, and for `concurrency`."""
    seconds: Annotated[int, Meta(ge=1, le=31_622_400)] | None = None
    """Instead of `window`: in any span of so many seconds."""
    zone: str = "UTC"
    """Time zone in which days, weeks (from Monday) and months begin, such as `Europe/Berlin`."""
    per: tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...] = ()
    """Each value of these has a counter of its own: `user`, `key`, `model`, `provider`, `end_user`, `tag:NAME`, ..."""
    hard: bool = True
    """Refuse what goes beyond it. False: warn only."""
    thresholds: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = ()
    """Parts of `amount` at which a warning is given, such as 0.8."""
    on_outage: Literal["open", "closed", "share"] = "open"
    """While nobody can count: let all through, nothing, or each process its share of what was left."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what contradicts itself."""
        # msgspec takes no bounds for decimals.
        if not (self.amount.is_finite() and 0 <= self.amount <= _MOST):
            raise ValueError(f"`amount` has to be from 0 to {_MOST}")
        if self.unit == "concurrency":
            if self.window is not None or self.seconds is not None:
                raise ValueError("what is under way at once is counted in no window: leave out `window` and `seconds`")
        elif (self.window is None) == (self.seconds is None):
            raise ValueError("say either `window` or `seconds`")
        if not is_zone(self.zone):
            raise ValueError(f"{self.zone!r} is no time zone that is known here")
        if self.unit != "cost" and self.amount != self.amount.to_integral_value():
            raise ValueError(f"{self.unit} are counted in whole numbers")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one level says. What it does not mention is as the levels around it have it."""

    models: tuple[Pattern, ...] | None = None
    """Models that may be asked for, as clients name them; `*` stands for anything. None: all that the outer levels allow. Empty: none."""
    providers: tuple[Word, ...] | None = None
    """Providers that may be asked."""
    endpoints: tuple[Word, ...] | None = None
    """Operations that may be asked for: `chat`, `embeddings`, `rerank`, `images`, `audio`, `moderations`, `realtime`, `files`, `batches`,
    and `raw` for all that passes through unread. Whoever has some `models` alone asks for the last three only where they stand here."""
    networks: tuple[str, ...] | None = None
    """Addresses of callers, such as `10.0.0.0/8` or `2001:db8::1`."""
    limits: tuple[Limit, ...] = ()
    """Counted at this level."""
    tags: dict[Word, Annotated[str, Meta(max_length=256)]] = {}
    """What entries of the ledger are marked with."""
    cost_centre: Annotated[str, Meta(max_length=128)] = ""
    """Who pays, in the words of the books."""
    guardrails: tuple[Word, ...] = ()
    """Names of guardrails that have to be passed."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no network."""
        for text in self.networks or ():
            network(text)


NOTHING = Settings()
"""Says nothing."""


class Plan(Struct, frozen=True, kw_only=True):
    """A named bundle of limits. They are counted at each level that has the plan, for that level alone."""

    id: str
    name: str
    limits: tuple[Limit, ...] = ()


def network(text: str) -> IPv4Network | IPv6Network:
    """The network that is meant. Raises `ValueError`; an address with bits of its host set is a mistake as well."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network: {error}") from None
