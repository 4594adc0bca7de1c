"""The section `keys` of a provider: several credentials, of which each attempt takes one."""

from typing import Annotated, Literal

from msgspec import Meta

from extproc.config.section import Section

KeyName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        description="a key's name: letters, digits, `_`, `.` and `-`, at most 63, the first no sign",
    ),
]
Choice = Literal["round_robin", "least_used"]


class ProviderKey(Section, frozen=True):
    """One of a provider's keys, with all that can be said of it."""

    key: str
    """The credential, best as `env:NAME` or `file:PATH`."""
    name: KeyName | None = None
    """What it is called in the log, the ledger and metrics. Unless given, the name of the variable or file that it comes from, or else its
    place in the list."""
    weight: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    """Its share of the requests beside the others."""
    concurrency: Annotated[int, Meta(ge=1)] | None = None
    """Requests under way with it at once. Each worker has an equal share of that, and at least one."""
    requests_per_minute: Annotated[int, Meta(ge=1)] | None = None
    """Requests with it within any minute. Each worker has an equal share of that, and at least one."""
