"""Whom a command means: organizations, projects, teams, users, service accounts and plans, by name or id."""

import argparse
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from extproc.config.nearest import hint
from extproc.errors import Reject
from extproc.identity.ids import kind_of
from extproc.store import DEFAULT

if TYPE_CHECKING:
    from extproc.store.keys import Holder
    from extproc.store.models import Organization
    from extproc.store.store import Tables

# Organizations that are named to who has forgotten his.
_SAID = 3
PARTS = ("project", "team", "service_account")


def add_holder(parser: argparse.ArgumentParser) -> None:
    """The options that name whom a key belongs to."""
    parser.add_argument("--organization", metavar="NAME", help="the organization, by name or id; `default` unless given")
    parser.add_argument("--project", metavar="NAME", help="its project")
    parser.add_argument("--team", metavar="NAME", help="its team")
    parser.add_argument("--user", metavar="NAME", help="its member, by name, e-mail address or id")
    parser.add_argument("--service-account", metavar="NAME", help="its service account")


def organization(tables: "Tables", text: str | None, *, making: bool = False) -> "Organization":
    """The one that is meant; the default one where none is. `making`: that comes about if need be. Raises `Reject` 404."""
    if text is None and making:
        return tables.organizations.default()
    text = text or DEFAULT
    found = tables.organizations.named(text)
    if found is None and kind_of(text) != "organization":
        raise Reject(404, "not_found", f"There is no organization {text!r}{_others(tables, text)}.")
    return found or tables.organizations.find(text)


def _others(tables: "Tables", text: str) -> str:
    names = [one.name for one in tables.organizations.list(limit=1000).items]
    if text == DEFAULT and names:
        return f": say which one is meant, such as {shlex.join(('--organization', names[0]))}"
    return hint(text, names, "there are")


def part(tables: "Tables", kind: str, text: str, within: str) -> Any:
    """A project, team or service account of an organization. Raises `Reject` 404, which says where there is one of this name."""
    repository = getattr(tables, f"{kind}s")
    table = repository.entity
    found = repository.list(table.organization_id == within, table.name == text).items
    if not found and kind_of(text) == kind:
        found = repository.list(table.organization_id == within, table.id == text).items
    if not found:
        here = tables.organizations.find(within).name
        elsewhere = repository.list(table.name == text, limit=_SAID).items
        message = f"There is no {table.title_of} {text!r} in the organization {here!r}{other_organizations(tables, elsewhere)}."
        raise Reject(404, "not_found", message)
    return found[0]


def other_organizations(tables: "Tables", found: Iterable[Any]) -> str:
    """The end of a sentence about something that is not there: which organizations have what was `found`, and how to name them."""
    names = sorted(tables.organizations.find(one.organization_id).name for one in found)
    options = " or ".join(shlex.join(("--organization", name)) for name in names)
    return f"; {' and '.join(names)} {'has' if len(names) == 1 else 'have'} one: {options}" if names else ""


def user(tables: "Tables", text: str) -> Any:
    """A user. Raises `Reject`: 404, and 409 where several have the name."""
    if "@" in text and (found := tables.users.of_email(text)) is not None:
        return found
    if kind_of(text) == "user":
        return tables.users.find(text)
    named = tables.users.list(tables.users.entity.name == text).items
    if len(named) > 1:
        raise Reject(409, "ambiguous", f"Several users are named {text!r}: name one by e-mail address or id.")
    if not named:
        raise Reject(404, "not_found", f"There is no user {text!r}.")
    return named[0]


def plan(tables: "Tables", text: str) -> Any:
    """A plan. Raises `Reject` 404."""
    named = tables.plans.list(tables.plans.entity.name == text).items
    return named[0] if named else tables.plans.find(text)


def holder(tables: "Tables", given: argparse.Namespace, *, making: bool = False) -> "Holder":
    """Whom a key belongs to. `making`: see `organization`. Raises `Reject`."""
    from extproc.store.keys import Holder  # noqa: PLC0415 - slow to import, and needed by few commands

    within = organization(tables, given.organization, making=making).id
    parts = {f"{kind}_id": part(tables, kind, text, within).id for kind in PARTS if (text := getattr(given, kind)) is not None}
    if given.user is not None:
        parts["user_id"] = user(tables, given.user).id
    return Holder(within, **parts)
