"""What can be administered from the command line: one row a kind of thing, and no code of its own for any."""

from collections.abc import Mapping
from typing import NamedTuple

from extproc.identity.ids import Kind

_HISTORY = ("created_at", "deleted_at")


class Row(NamedTuple):
    """One kind of thing."""

    kind: Kind
    title: str
    columns: tuple[str, ...]
    """Of a table for people."""
    fields: tuple[str, ...] = ()
    """What is said when one is made, as options: `--email` for `email`."""
    needed: tuple[str, ...] = ("name",)
    """Those of them that have to be said."""
    around: tuple[str, ...] = ()
    """What they are listed and made in: the paths of these, of which one has to be named. None: they stand for themselves."""
    level: bool = True
    """It has settings, a plan, and can be suspended."""


_ORGANIZATION = ("organizations",)

TABLE: Mapping[str, Row] = {
    "organizations": Row("organization", "an organization", ("id", "name", "plan_id", "disabled_at", *_HISTORY), ("name",)),
    "projects": Row("project", "a project", ("id", "name", "plan_id", "disabled_at", *_HISTORY), ("name",), around=_ORGANIZATION),
    "teams": Row("team", "a team", ("id", "name", "plan_id", "disabled_at", *_HISTORY), ("name",), around=_ORGANIZATION),
    "service-accounts": Row(
        "service_account", "a service account", ("id", "name", "plan_id", "disabled_at", *_HISTORY), ("name",), around=_ORGANIZATION
    ),
    "users": Row(
        "user", "a user", ("id", "name", "email", "disabled_at", *_HISTORY), ("name", "email", "issuer", "subject")
    ),
    "members": Row(
        "membership", "a membership", ("id", "user_id", "role", "organization_id", "team_id", "disabled_at"), ("user_id", "role"),
        needed=("user_id", "role"), around=("teams", "organizations"),
    ),
    "plans": Row("plan", "a plan", ("id", "name", *_HISTORY), ("name",), level=False),
    "keys": Row(
        "key", "a key", ("id", "name", "prefix", "team_id", "project_id", "user_id", "expires_at", "disabled_at", "deleted_at"),
        ("name", "user_id", "tenant", "expires_at"),
        around=("teams", "projects", "service-accounts", "organizations"),
    ),
}  # fmt: skip
"""By the name in a path."""

SINGULAR = {plural: row.kind.replace("_", "-") for plural, row in TABLE.items()}
"""By the name in a path: the option that names one, such as `--team`."""
