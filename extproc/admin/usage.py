"""Usage and what it cost, as reports: of everybody, of an organization, a project, a team, a user or a key; and invoices."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query, Response
from msgspec import Struct
from sqlalchemy import select

from extproc.admin.access import Access, Place
from extproc.admin.call import Call, Called, Given
from extproc.admin.keys import KeyResource
from extproc.admin.organizations import ProjectResource, TeamResource
from extproc.admin.pages import Page
from extproc.admin.people import UserResource
from extproc.admin.resource import Resource, organization_of
from extproc.admin.routes import CSV, OrTable, Routes
from extproc.errors import Reject
from extproc.ledger import focus, invoice
from extproc.ledger.books import Ledgers
from extproc.ledger.invoice import Invoice
from extproc.ledger.money import plain
from extproc.ledger.report import Row
from extproc.ledger.reports import LAST, Books, Wanted, usage
from extproc.ledger.spreadsheet import as_csv, cell
from extproc.store.models import Organization, Project, Team
from extproc.store.store import Tables

MOST_ROWS = 100_000
"""Of a table, which is not told in pages."""
_ISSUER = "Headgate"
Format = Literal["json", "csv", "focus"]
Scope = Callable[[Tables, Access, Call], Mapping[str, str]]
"""Looks whether the caller may read the usage that a path names, and says which it is. Raises `Reject`."""


class UsageRow(Struct, frozen=True, kw_only=True):
    """What was used by those of one group."""

    group: dict[str, str]
    """What they have in common: by the names in `group_by`."""
    requests: int
    errors: int
    partial: int
    """Of the requests, those that broke off."""
    cache_hits: int
    unpriced: int
    """Of the requests, those without a price, or whose usage cannot be read: they are not in the money."""
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    images: float
    seconds: float
    characters: float
    searches: float
    cost: str
    """What providers charge: US dollars, exact."""
    price: str
    """What is charged here."""


class Asked(Struct, frozen=True):
    """What the query says."""

    by: tuple[str, ...]
    since: date
    until: date
    where: Mapping[str, str]
    format: Format
    limit: int
    cursor: str


_Name = Annotated[str, Query(max_length=256)]


def queried(
    *,
    since: Annotated[date | None, Query(alias="from", description="First day, UTC; the month's first unless given.")] = None,
    until: Annotated[date | None, Query(alias="to", description="Day after the last one; no bound unless given.")] = None,
    group_by: Annotated[
        str,
        Query(
            max_length=256, description="What rows are told apart by, with commas: day, month, model, provider, key, team, tag:NAME, ..."
        ),
    ] = "day",
    form: Annotated[Format, Query(alias="format", description="`csv`, and `focus` (FOCUS 1.2), are whole tables, without pages.")] = "json",
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows in a page.")] = 100,
    cursor: Annotated[str, Query(max_length=2048, pattern=r"^[A-Za-z0-9_=-]*$", description="`next_cursor` of the page before.")] = "",
    team: _Name = "",
    user: _Name = "",
    model: _Name = "",
    provider: _Name = "",
) -> Asked:
    """Reads it."""
    named = {"team": team, "user": user, "model": model, "provider": provider}
    return Asked(
        tuple(name.strip() for name in group_by.split(",") if name.strip()), since or datetime.now(UTC).date().replace(day=1),
        until or LAST, {name: value for name, value in named.items() if value}, form, limit, cursor,
    )  # fmt: skip


Queried = Annotated[Asked, Depends(queried)]


def _everything(tables: Tables, access: Access, call: Call) -> Mapping[str, str]:
    if not access.operator:
        raise Reject(403, "permission_denied", "Everybody's usage is the operator's to see; ask for your organization's or your team's.")
    return {}


def _organization(tables: Tables, access: Access, call: Call) -> Mapping[str, str]:
    id = call.ids["organization_id"]
    organization_of(tables, access, id, deleted=True)
    if not access.may("usage.read", Place(organization=id)):
        raise access.denied("usage.read")
    return {"organization": id}


def _user(tables: Tables, access: Access, call: Call) -> Mapping[str, str]:
    """Somebody may use several organizations' keys: all of it is his own to see, and as far as the key reaches that he shows."""
    id = UserResource().find(tables, access, call, "user.read", deleted=True).id
    if not access.operator and id != access.user_id:
        raise Reject(403, "permission_denied", "Only he may see that; ask for an organization's or a team's usage with `user`.")
    key = call.caller.key
    within = {} if key is None else {"organization": key.organization, "project": key.project, "team": key.team}
    return {"user": id, **{name: value for name, value in within.items() if value}}


def _of(resource: Resource[Any], column: str) -> Scope:
    def look(tables: Tables, access: Access, call: Call) -> Mapping[str, str]:
        there_is_no = f"There is no {resource.title} {call.ids[f'{resource.kind}_id']!r}."
        entity = resource.find(tables, access, call, resource.action("read"), deleted=True)
        access.must("usage.read", resource.place(access, entity), there_is_no)
        return {column: entity.id}

    return look


class Reports:
    """The endpoints."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers

    def usage(self, scope: Scope) -> Callable[[Call, Asked], Response]:
        """Usage of whoever a path names."""

        def endpoint(call: Called, query: Queried) -> Response:
            where = call.read(lambda tables, access: scope(tables, access, call))
            # A filter of the caller's own narrows what he may see, and never replaces it.
            wider = next((name for name, value in query.where.items() if where.get(name, value) != value), None)
            if wider is not None:
                raise Reject(422, "invalid", f"This path is about another {wider}.", param=wider)
            with self._ledgers.books() as books:
                return _answer(books, query, {**query.where, **where}, lambda: call.read(_names))

        return endpoint

    def invoices(self, call: Called, month: str) -> Response:
        """All of a month."""
        call.read(lambda tables, access: _everything(tables, access, call))
        with self._ledgers.books() as books:
            return Given(Page(invoice.invoices(books, _month(month)), None)).answer()

    def invoice(
        self,
        call: Called,
        month: str,
        form: Annotated[Literal["json", "csv"], Query(alias="format", description="`csv`: the lines.")] = "json",
    ) -> Response:
        """One organization's."""
        where = call.read(lambda tables, access: _organization(tables, access, call))
        with self._ledgers.books() as books:
            made = invoice.invoices(books, _month(month), where["organization"])
        if form == "csv":
            return _table(invoice.csv(made))
        if not made:
            raise Reject(404, "not_found", f"Nothing was used in {month}.")
        return Given(made[0]).answer()


def _month(text: str) -> date:
    try:
        return invoice.month_of(text)
    except ValueError as error:
        raise Reject(422, "invalid", f"{error}.", param="month") from None


def _names(tables: Tables, _: Access) -> Mapping[str, str]:
    """Of organizations, projects and teams, by id, also of those that are gone: a table names those that are in it alone."""
    named = (select(table.id, table.name) for table in (Organization, Project, Team))
    return {id: name for query in named for id, name in tables.work.session.execute(query)}


def _answer(books: Books, query: Asked, where: Mapping[str, str], names: Callable[[], Mapping[str, str]]) -> Response:
    whole = query.format != "json"
    by = focus.BY if query.format == "focus" else query.by
    try:
        wanted = Wanted(
            by=by, since=query.since, until=query.until, where=where, after=() if whole else _place(query.cursor),
            limit=1 + (MOST_ROWS if whole else query.limit),
        )  # fmt: skip
    except ValueError as error:
        raise Reject(422, "invalid", f"{error}.") from None
    rows = usage(books, wanted)
    if not whole:
        page, rest = rows[: query.limit], rows[query.limit :]
        return Given(Page([_shown(row) for row in page], _cursor(page[-1]) if rest and by else None)).answer()
    if len(rows) > MOST_ROWS:
        raise Reject(422, "invalid", f"This table has more than {MOST_ROWS} rows: ask for less time, or fewer groups.", param="from")
    if query.format == "focus":
        return _table(focus.csv(rows, _ISSUER, names()))
    numbers = [name for name in UsageRow.__struct_fields__ if name != "group"]
    shown = map(_shown, rows)
    lines = ({name: cell(value) for name, value in one.group.items()} | {name: getattr(one, name) for name in numbers} for one in shown)
    return _table(as_csv([*by, *numbers], lines))


def _shown(row: Row) -> UsageRow:
    values = {name: getattr(row, name) for name in UsageRow.__struct_fields__}
    return UsageRow(**{**values, "unpriced": row.unpriced + row.unmetered, "cost": plain(row.cost), "price": plain(row.price)})


def _table(text: str) -> Response:
    return Response(text, media_type=CSV)


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(tuple(row.group.values()))).decode()


def _place(cursor: str) -> tuple[str, ...]:
    if not cursor:
        return ()
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, ...])
    except ValueError:
        raise Reject(422, "invalid", "This cursor is none of this list's.", param="cursor") from None


def add_routes(routes: Routes, ledgers: Ledgers) -> None:
    """Their paths."""
    reports = Reports(ledgers)
    organization = "/organizations/{organization_id}"
    project, team = _of(ProjectResource(), "project"), _of(TeamResource(), "team")
    for path, name, scope in (
        ("", "", _everything), (organization, "organization_", _organization),
        ("/projects/{project_id}", "project_", project), ("/teams/{team_id}", "team_", team),
        ("/users/{user_id}", "user_", _user), ("/keys/{key_id}", "key_", _of(KeyResource(), "key_id")),
    ):  # fmt: skip
        routes.add(
            "GET", f"{path}/usage", reports.usage(scope), name=f"{name}usage", summary="Usage and its cost", tag="usage",
            gives=OrTable(Page[UsageRow]),
        )  # fmt: skip
    routes.add(
        "GET", "/invoices/{month}", reports.invoices, name="invoices", summary="All invoices of a month", tag="usage", gives=Page[Invoice]
    )
    routes.add(
        "GET", organization + "/invoices/{month}", reports.invoice, name="organization_invoice", summary="An organization's invoice",
        tag="usage", gives=OrTable(Invoice),
    )  # fmt: skip
