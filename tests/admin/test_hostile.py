"""What nobody asks who means well: it is refused in the one form of errors, and is no bug of ours."""

import base64

import msgspec

from tests.admin.site import Site, fault
from tests.admin.test_usage import used


def _cursor(*group: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(group)).decode()


async def test_queries(site: Site) -> None:
    await used(site)
    for path in (
        f"/usage?group_by=day&cursor={_cursor('abc')}", f"/usage?group_by=day&cursor={_cursor('0000-00-00')}",
        f"/usage?group_by=model&cursor={_cursor(chr(0))}", "/usage?team=%00", "/usage?model=%00", "/usage?group_by=tag:a%00b",
        "/usage?group_by=model&cursor=" + base64.urlsafe_b64encode(b'["\\ud800"]').decode(),
        "/invoices/9999-12", "/invoices/0001-01", "/invoices/2026-9", "/invoices/2026-W09",
        "/keys?prefix=%00", "/keys?cursor=%00", "/audit?cursor=%ED%A0%80", "/organizations?cursor=org_", "/organizations?deleted=maybe",
        "/organizations?limit=99999999999999999999",
    ):  # fmt: skip
        assert fault(await site.ask("GET", path)) == (422, "invalid"), path
    for path in ("/organizations/%00", "/organizations/%2e%2e/keys", "/organizations/org_%00", "/teams/team_'--"):
        assert fault(await site.ask("GET", path)) == (404, "not_found"), path
    # Before and after all that there can be, there is nothing.
    for query in ("from=9999-12-31", "from=9999-12-02&to=9999-12-31&group_by=model", "to=0001-01-01&group_by=month"):
        assert (await site.ask("GET", f"/usage?{query}")).json() == {"data": [], "next_cursor": None}
    whole = (await site.ask("GET", "/usage?from=0001-01-01&to=9999-12-31&group_by=")).json()
    assert whole["data"][0]["requests"] == 12


async def test_bodies(site: Site) -> None:
    for content, refused in (
        (b"[" * 100_000, (422, "invalid")), (b'{"name":' * 50_000, (422, "invalid")), (b'{"name":"\xff"}', (400, "invalid_json")),
        (b'{"name":"\\ud800"}', (400, "invalid_json")), (b'{"name":"x","deleted_at":1}', (422, "invalid")),
        (b'{"name":"x","id":"org_x"}', (422, "invalid")), (b'{"name":"x","version":7}', (422, "invalid")),
        (b'{"name":"x","plan_id":"plan_\\u0000"}', (422, "invalid")), (b'{"name":"x","settings":null}', (422, "invalid")),
        (b'{"name":"' + b"x" * (1 << 20) + b'"}', (413, "request_too_large")),
    ):  # fmt: skip
        sent = await site.ask("POST", "/organizations", content=content, content_type="application/json")
        assert fault(sent) == refused, content[:40]
    many = {"limits": [{"unit": "requests", "amount": 1, "window": "day"}] * 101}, {"tags": {f"t{number}": "x" for number in range(65)}}
    for settings in many:
        assert fault(await site.ask("POST", "/organizations", {"name": "x", "settings": settings})) == (422, "invalid")
    limit = '{"name": "x", "settings": {"limits": [{"unit": "cost", "amount": %s, "window": "month"}]}}'
    for amount in ('"1e999999"', '"NaN"', '"-1"', "1e400"):
        sent = await site.ask("POST", "/organizations", content=(limit % amount).encode(), content_type="application/json")
        assert fault(sent) == (422, "invalid"), amount
    assert (await site.ask("GET", "/organizations?deleted=true")).json()["data"] == []
