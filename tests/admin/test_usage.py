"""Reports of usage over REST: who may see whose, pages, tables, invoices."""

import csv
import io
from contextlib import closing

import pytest

from extproc.identity.record import Owner
from extproc.ledger.places import places
from extproc.ledger.store import Store
from tests.admin.site import Site, fault
from tests.ledger.test_aggregates import enter, record

SINCE = "from=2026-09-01"


async def used(site: Site) -> tuple[str, str, str, str]:
    """Two organizations, a team, and a user of the first, whose key was used."""
    first, second = [(await site.make("/organizations", name=name))["id"] for name in ("acme", "other")]
    team = (await site.make(f"/organizations/{first}/teams", name="red"))["id"]
    user, key = site.person("ann", first, "member", team)
    with closing(Store(places(site.state).database)) as store:
        enter(
            store,
            *(record(f"r{at}", day=at % 3, owner=Owner(first, "", team, user), model=f"m{at % 5}", key="=ann") for at in range(10)),
            record("x", owner=Owner(second)), record("y", day=40, owner=Owner(first)),
        )  # fmt: skip
    return first, team, user, key


async def test_reports(site: Site) -> None:
    organization, team, user, _ = await used(site)
    for path, requests in (("", 12), (f"/organizations/{organization}", 11), (f"/teams/{team}", 10), (f"/users/{user}", 10)):
        answer = await site.ask("GET", f"{path}/usage?{SINCE}&group_by=")
        assert answer.status_code == 200, answer.text
        (row,) = answer.json()["data"]
        assert (row["requests"], row["group"], answer.json()["next_cursor"]) == (requests, {}, None)
        assert isinstance(row["cost"], str)
    answer = await site.ask("GET", f"/organizations/{organization}/usage?{SINCE}&to=2026-10-01&group_by=day,model&model=m0")
    assert [(row["group"]["day"], row["requests"]) for row in answer.json()["data"]] == [("2026-09-29", 1)]
    answer = await site.ask("GET", f"/teams/{team}/usage?{SINCE}&group_by=day")
    assert [row["requests"] for row in answer.json()["data"]] == [4, 3, 3]


async def test_a_page_at_a_time(site: Site) -> None:
    await used(site)
    path, got, cursor = f"/usage?{SINCE}&group_by=day,model,team&limit=3", [], ""
    while cursor is not None:
        answer = (await site.ask("GET", f"{path}&cursor={cursor}")).json()
        got += answer["data"]
        cursor = answer["next_cursor"]
    assert sum(row["requests"] for row in got) == 12
    assert len({tuple(row["group"].items()) for row in got}) == len(got) > 6


async def test_tables(site: Site) -> None:
    organization, *_ = await used(site)
    answer = await site.ask("GET", f"/organizations/{organization}/usage?{SINCE}&group_by=key&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["key"], row["requests"]) for row in rows] == [("", "1"), ("'=ann", "10")]
    answer = await site.ask("GET", f"/usage?{SINCE}&format=focus")
    charges = list(csv.DictReader(io.StringIO(answer.text)))
    assert {(row["BillingAccountName"], row["SubAccountName"]) for row in charges} == {("acme", "red"), ("acme", ""), ("other", "")}


async def test_invoices(site: Site) -> None:
    organization, *_ = await used(site)
    made = (await site.ask("GET", f"/organizations/{organization}/invoices/2026-09")).json()
    assert (made["organization"], made["month"], len(made["lines"])) == (organization, "2026-09", 5)
    assert (await site.ask("GET", f"/organizations/{organization}/invoices/2026-09?format=csv")).text.count("\n") == 6
    everybody = (await site.ask("GET", "/invoices/2026-09")).json()
    assert len(everybody["data"]) == 2 and everybody["next_cursor"] is None
    assert fault(await site.ask("GET", f"/organizations/{organization}/invoices/2025-01")) == (404, "not_found")
    assert fault(await site.ask("GET", "/invoices/september")) == (422, "invalid")


async def test_nobody_sees_what_is_not_his(site: Site) -> None:
    organization, team, user, key = await used(site)
    other = (await site.make("/organizations", name="third"))["id"]
    for path, status in (
        (f"/teams/{team}", 200), (f"/users/{user}", 200), (f"/organizations/{organization}", 403), ("", 403),
        (f"/organizations/{other}", 404), ("/teams/team_01234567890123456789", 404), ("/organizations/nonsense", 404),
    ):  # fmt: skip
        answer = await site.ask("GET", f"{path}/usage?{SINCE}", key=key)
        assert answer.status_code == status, (path, answer.text)
    assert fault(await site.ask("GET", f"/teams/{team}/usage?team=team_other", key=key)) == (422, "invalid")
    assert fault(await site.ask("GET", "/invoices/2026-09", key=key)) == (403, "permission_denied")
    _, viewer = site.person("vic", organization, "viewer")
    assert (await site.ask("GET", f"/organizations/{organization}/usage?{SINCE}&user={user}", key=viewer)).status_code == 200
    assert fault(await site.ask("GET", f"/users/{user}/usage", key=viewer)) == (403, "permission_denied")


@pytest.mark.parametrize(
    "query",
    ["group_by=colour", "from=yesterday", "limit=0", "format=xml", "cursor=x", "cursor=WyJhIl0=&group_by=day,model", "group_by=day,day"],
)
async def test_what_cannot_be_asked(site: Site, query: str) -> None:
    assert fault(await site.ask("GET", f"/usage?{query}")) == (422, "invalid")


async def test_before_the_first_request(site: Site) -> None:
    assert (await site.ask("GET", "/usage")).json() == {"data": [], "next_cursor": None}
    assert not places(site.state).database.exists()
