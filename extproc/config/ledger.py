"""Where the ledgers of several machines come together."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Section


class Ledger(Section, frozen=True):
    """One ledger for several machines, in PostgreSQL. Each goes on to collect into its own first, so nothing waits for it."""

    url: str
    """PostgreSQL, best as `env:NAME` or `file:PATH` of `postgresql://user:password@host/name`. Needs `headgate[postgres]`, and
    `headgate ledger migrate` once, and with each version that asks for it."""
    keep: Annotated[float, Meta(ge=1, le=36_500)] = 35.0
    """Days for which entries stay on this machine, too, after they were sent. Sums stay for ever."""
