"""Where identities are kept, if not in the state folder."""

from extproc.config.section import Section


class Store(Section, frozen=True):
    """The store of organizations, teams, users and keys, where several machines share one. Callers need a key then."""

    url: str
    """PostgreSQL, best as `env:NAME` or `file:PATH` of `postgresql://user:password@host/name`. Needs `headgate[postgres]`, and
    `headgate store migrate` once, and with each version that asks for it."""
