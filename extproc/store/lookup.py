"""Who is meant by what a token or a certificate says, and which teams somebody is in."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.ids import kind_of
from extproc.identity.named import Named
from extproc.identity.record import Owner
from extproc.store.models import Key, Membership, Organization, Plan, Project, ServiceAccount, Team, User

_NAMED: dict[str, Any] = {"organization": Organization, "user": User, "plan": Plan}
_PARTS: dict[str, Any] = {"project": Project, "team": Team, "service_account": ServiceAccount}
_AROUND = (Organization.id.label("around"), Organization.name.label("around_name"))


def resolve(connection: Connection, said: Claimed) -> Resolved:
    """By ids or names. A team, or a service account, without an organization is known by its id alone, and says it."""
    organization = team = account = user = None
    if said.organization and (organization := _one(connection, Organization, said.organization)) is None:
        return _missing("organization", said.organization)
    within = organization.id if organization is not None else ""
    if said.team:
        if (team := _part(connection, Team, said.team, within)) is None:
            return _missing("team", said.team)
        within = team.organization_id
    if said.service_account:
        if (account := _part(connection, ServiceAccount, said.service_account, within)) is None:
            return _missing("service account", said.service_account)
        within = account.organization_id
    if said.user:
        if (user := _user(connection, said)) is None:
            return _missing("user", said.user)
        within = within or _only(connection, user.id)
    owner = Owner(within, team=_id(team), user=_id(user), service_account=_id(account))
    return Resolved(owner, _name(connection, within))


def teams(connection: Connection, owner: Owner) -> list[TeamName]:
    """The key's own team; of a user's key without one, all that the user is a member of in its organization."""
    query = select(Team.id, Team.name, Team.organization_id).where(Team.deleted_at.is_(None)).order_by(Team.id)
    if owner.team:
        query = query.where(Team.id == owner.team)
    elif owner.user:
        query = query.join(Membership, Membership.team_id == Team.id).where(
            Membership.user_id == owner.user, Membership.deleted_at.is_(None), Team.organization_id == owner.organization
        )
    else:
        return []
    return [TeamName(*row) for row in connection.execute(query)]


def named(connection: Connection, ids: Iterable[str]) -> dict[str, Named]:
    """What these are called, as far as they are there and in force."""
    found: dict[str, Named] = {}
    asked: dict[str, list[str]] = {}
    for id in ids:
        asked.setdefault(kind_of(id) or "", []).append(id)
    for kind, table in _NAMED.items():
        if some := asked.get(kind):
            found |= {row.id: Named(row.id, row.name) for row in connection.execute(_of(table, some))}
    for kind, table in _PARTS.items():
        if some := asked.get(kind):
            query = _of(table, some).join(Organization, Organization.id == table.organization_id)
            rows = connection.execute(query.add_columns(*_AROUND))
            found |= {row.id: Named(row.id, row.name, organization=(row.around, row.around_name)) for row in rows}
    if some := asked.get("key"):
        query = _of(Key, some).join(Organization, Organization.id == Key.organization_id).outerjoin(Team, Team.id == Key.team_id)
        rows = connection.execute(query.add_columns(*_AROUND, Key.prefix, Key.team_id, Team.name.label("team_name")))
        for row in rows:
            team = (row.team_id, row.team_name) if row.team_id else ()
            found[row.id] = Named(row.id, row.name, row.prefix or "", (row.around, row.around_name), team)
    return found


def _of(table: Any, ids: Sequence[str]) -> Select[Any]:
    return select(table.id, table.name).where(table.id.in_(ids), table.deleted_at.is_(None))


def _missing(what: str, text: str) -> Resolved:
    return Resolved(missing=f"{what} {text!r}")


def _one(connection: Connection, table: Any, text: str) -> Any:
    query = select(table.__table__).where(table.deleted_at.is_(None), or_(table.id == text, table.name == text))
    return connection.execute(query.limit(1)).first()


def _part(connection: Connection, table: Any, text: str, within: str) -> Any:
    named = (table.name == text) & (table.organization_id == within)
    here = (table.id == text) & (table.organization_id == within) if within else table.id == text
    return connection.execute(select(table.__table__).where(table.deleted_at.is_(None), or_(here, named)).limit(1)).first()


def _user(connection: Connection, said: Claimed) -> Any:
    vouched = (User.issuer == said.issuer) & (User.subject == said.user)
    query = select(User.__table__).where(User.deleted_at.is_(None), or_(vouched, User.id == said.user))
    return connection.execute(query.limit(1)).first()


def _only(connection: Connection, user: str) -> str:
    """The organization that a user is a member of, if there is one alone."""
    query = select(Membership.organization_id).where(Membership.user_id == user, Membership.deleted_at.is_(None)).distinct().limit(2)
    found = connection.execute(query).scalars().all()
    return found[0] if len(found) == 1 else ""


def _name(connection: Connection, organization: str) -> str:
    return connection.execute(select(Organization.name).where(Organization.id == organization)).scalar() or ""


def _id(row: Any) -> str:
    return row.id if row is not None else ""
