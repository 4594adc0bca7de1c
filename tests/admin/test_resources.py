"""What all kinds of things have in common: made, listed, shown, changed, deleted; ETags, idempotency keys, errors."""

from typing import Any

import pytest

from tests.admin.site import Site, fault

LIMIT = {"unit": "cost", "amount": "50", "window": "month"}


async def test_a_thing_is_made_shown_changed_and_deleted(site: Site) -> None:
    acme = await site.make("/organizations", name="acme", settings={"limits": [LIMIT]})
    answer = await site.ask("POST", f"/organizations/{acme['id']}/teams", {"name": "red"})
    red = answer.json()
    assert answer.status_code == 201 and answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/api/v1/teams/{red['id']}"
    assert (red["organization_id"], red["version"], red["deleted_at"], red["settings"]) == (acme["id"], 1, None, {})
    for path in (f"/teams/{red['id']}", f"/organizations/{acme['id']}/teams/{red['id']}"):
        assert (await site.ask("GET", path)).json() == red
    assert fault(await site.ask("GET", f"/organizations/org_{'0' * 20}/teams/{red['id']}")) == (404, "not_found")
    changed = (await site.ask("PATCH", f"/teams/{red['id']}", {"name": "blue", "disabled": True})).json()
    assert (changed["name"], changed["version"], changed["disabled_at"]) == ("blue", 2, changed["updated_at"])
    assert (await site.ask("DELETE", f"/teams/{red['id']}")).status_code == 204
    assert fault(await site.ask("GET", f"/teams/{red['id']}")) == (404, "not_found")
    gone = (await site.ask("GET", f"/teams/{red['id']}?deleted=true")).json()
    assert gone["deleted_at"] is not None
    listed = f"/organizations/{acme['id']}/teams"
    assert (await site.ask("GET", listed)).json() == {"data": [], "next_cursor": None}
    assert (await site.ask("GET", f"{listed}?deleted=true")).json() == {"data": [gone], "next_cursor": None}


async def test_a_patch_is_merged_into_settings(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    path = f"/organizations/{acme['id']}"

    async def patch(settings: Any) -> Any:
        return (await site.ask("PATCH", path, {"settings": settings})).json()["settings"]

    assert await patch({"models": ["gpt-*"], "tags": {"a": "1", "b": "2"}}) == {"models": ["gpt-*"], "tags": {"a": "1", "b": "2"}}
    assert await patch({"tags": {"a": None, "c": "3"}, "limits": [LIMIT]}) == {
        "models": ["gpt-*"], "tags": {"b": "2", "c": "3"}, "limits": [LIMIT]
    }  # fmt: skip
    assert await patch({"models": None, "tags": None}) == {"limits": [LIMIT]}
    same = await site.ask("PATCH", path, {}, content_type="application/merge-patch+json")
    assert same.json()["version"] == 4


async def test_lists_come_in_pages(site: Site) -> None:
    made = [(await site.make("/organizations", name=f"o{number}"))["id"] for number in range(5)]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await site.ask("GET", f"/organizations?limit=2&cursor={cursor}")).json()
        found += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert found == made
    assert fault(await site.ask("GET", "/organizations?limit=201")) == (422, "invalid")
    assert fault(await site.ask("GET", "/organizations?cursor=team_x")) == (422, "invalid")


async def test_etags(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    path = f"/organizations/{acme['id']}"
    for header, status in (('"1"', 304), ("*", 304), ('"2"', 200), ('W/"1", "7"', 304), ("nonsense", 200)):
        assert (await site.ask("GET", path, if_none_match=header)).status_code == status
    refused = await site.ask("PATCH", path, {"disabled": True}, if_match='"7"')
    assert fault(refused) == (412, "version_mismatch") and refused.headers["etag"] == '"1"'
    assert (await site.ask("PATCH", path, {"disabled": True}, if_match='"1"')).headers["etag"] == '"2"'
    assert fault(await site.ask("DELETE", path, if_match='"1"')) == (412, "version_mismatch")
    assert (await site.ask("DELETE", path, if_match="*")).status_code == 204


async def test_a_request_with_an_idempotency_key_is_done_once(site: Site) -> None:
    first = await site.ask("POST", "/organizations", {"name": "acme"}, idempotency_key="a")
    again = await site.ask("POST", "/organizations", {"name": "acme"}, idempotency_key="a")
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert fault(await site.ask("POST", "/organizations", {"name": "other"}, idempotency_key="a")) == (422, "idempotency_key_reused")
    assert fault(await site.ask("POST", "/plans", {"name": "acme"}, idempotency_key="a")) == (422, "idempotency_key_reused")
    assert fault(await site.ask("POST", "/organizations", {"name": "b"}, idempotency_key="x" * 256)) == (422, "invalid")
    # What was refused was not done, and may be done yet.
    assert fault(await site.ask("POST", "/organizations", {"name": "acme"}, idempotency_key="b")) == (409, "name_taken")
    assert (await site.ask("POST", "/organizations", {"name": "other"}, idempotency_key="b")).status_code == 201
    gone = f"/organizations/{first.json()['id']}"
    for _ in range(2):
        assert (await site.ask("DELETE", gone, idempotency_key="c")).status_code == 204


@pytest.mark.parametrize(
    ("content", "media", "expected", "param"),
    [
        (b"{", "application/json", (400, "invalid_json"), None),
        (b"\xff", "application/json", (400, "invalid_json"), None),
        (b"[]", "application/json", (422, "invalid"), None),
        (b'{"name": "a", "nmae": "b"}', "application/json", (422, "invalid"), None),
        (b'{"name": 1}', "application/json", (422, "invalid"), "name"),
        (b'{"name": ""}', "application/json", (422, "invalid"), "name"),
        (b'{"name": "a", "settings": {"networks": ["x"]}}', "application/json", (422, "invalid"), "settings"),
        (b'{"name": "a", "settings": {"limits": [{"unit": "cost"}]}}', "application/json", (422, "invalid"), "settings.limits[0]"),
        (b'{"name": "a", "plan_id": "plan_nothing"}', "application/json", (422, "invalid"), "plan_id"),
        (b'{"name": "a"}', "text/plain", (415, "unsupported_media_type"), "content-type"),
        (b"x" * (1 << 21), "application/json", (413, "request_too_large"), None),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_body_is_told(
    site: Site, content: bytes, media: str, expected: tuple[int, str], param: str | None
) -> None:
    answer = await site.ask("POST", "/organizations", content=content, content_type=media)
    assert fault(answer) == expected
    error = answer.json()["error"]
    assert error["param"] == param
    assert set(error) == {"type", "code", "message", "param", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]


async def test_what_is_nowhere_has_the_same_form(site: Site) -> None:
    assert fault(await site.ask("GET", "/nothing")) == (404, "not_found")
    answer = await site.ask("PUT", "/organizations", {})
    assert fault(answer) == (405, "method_not_allowed") and answer.headers["allow"] == "GET, POST"


async def test_what_gateway_yaml_declares_is_changed_there(site: Site) -> None:
    with site.opened().database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO organizations (id, name, created_at, updated_at, version) VALUES ('org_acme', 'acme', 1, 1, 1)"
        )
    assert (await site.ask("GET", "/organizations/org_acme")).json()["name"] == "acme"
    assert fault(await site.ask("PATCH", "/organizations/org_acme", {"disabled": True})) == (409, "managed_by_configuration")
    assert fault(await site.ask("DELETE", "/organizations/org_acme")) == (409, "managed_by_configuration")
    await site.make("/organizations/org_acme/teams", name="red")


async def test_changes_are_in_the_audit_log(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    answer = await site.ask("PATCH", f"/organizations/{acme['id']}", {"disabled": True}, x_request_id="request-4711")
    assert answer.headers["x-request-id"] == "request-4711"
    other = await site.make("/organizations", name="other")
    page = (await site.ask("GET", "/audit?limit=2")).json()
    assert [(one["entity_id"], one["action"], one["actor"]) for one in page["data"]] == [
        (other["id"], "create", "operator"), (acme["id"], "change", "operator")
    ]  # fmt: skip
    assert page["data"][1]["request_id"] == "request-4711" and page["data"][1]["after"]["disabled_at"] is not None
    rest = (await site.ask("GET", f"/audit?limit=2&cursor={page['next_cursor']}")).json()
    assert [one["entity_id"] for one in rest["data"]] == [acme["id"]] and rest["next_cursor"] is None
    own = (await site.ask("GET", f"/organizations/{acme['id']}/audit")).json()["data"]
    assert [one["action"] for one in own] == ["change", "create"]
    assert (await site.ask("GET", f"/audit?entity_id={other['id']}")).json()["data"][0]["entity_id"] == other["id"]
