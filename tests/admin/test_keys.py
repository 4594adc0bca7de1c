"""Keys in the API: shown once, found by their beginning, rotated, suspended."""

from tests.admin.site import Site, fault


async def test_a_key_is_shown_once(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    red = await site.make(f"/organizations/{acme['id']}/teams", name="red")
    first = await site.ask("POST", f"/teams/{red['id']}/keys", {"name": "k"}, idempotency_key="a")
    key = first.json()
    assert key["key"].startswith(key["prefix"]) and (key["team_id"], key["organization_id"]) == (red["id"], acme["id"])
    again = await site.ask("POST", f"/teams/{red['id']}/keys", {"name": "k"}, idempotency_key="a")
    assert again.json() == {**key, "key": None}
    shown = (await site.ask("GET", f"/keys/{key['id']}")).json()
    assert "key" not in shown and "digest" not in shown
    for path in (f"/teams/{red['id']}/keys", f"/organizations/{acme['id']}/teams/{red['id']}/keys", f"/organizations/{acme['id']}/keys"):
        assert (await site.ask("GET", path)).json()["data"] == [shown]
    secret = key["key"].removeprefix("hg-")[12:]
    for path in ("/audit", "/keys"):
        assert secret not in (await site.ask("GET", path)).text


async def test_a_key_is_found_by_how_it_begins(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    key = await site.make(f"/organizations/{acme['id']}/keys", name="k")
    await site.make(f"/organizations/{acme['id']}/keys", name="l")
    for text in (key["prefix"], key["key"], key["prefix"].removeprefix("hg-")):
        assert [one["id"] for one in (await site.ask("GET", f"/keys?prefix={text}")).json()["data"]] == [key["id"]]
    assert len((await site.ask("GET", "/keys")).json()["data"]) == 2
    rotated = (await site.ask("POST", f"/keys/{key['id']}/rotate", {"overlap": 60})).json()
    for text in (key["key"], rotated["key"]):
        assert [one["id"] for one in (await site.ask("GET", f"/keys?prefix={text}")).json()["data"]] == [key["id"]]
    assert (await site.ask("GET", f"/keys?prefix={key['prefix']}")).json()["data"] == []


async def test_a_key_is_rotated_with_an_overlap_and_suspended(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    user, _ = site.person("alice", acme["id"], "owner")
    key = await site.make(f"/organizations/{acme['id']}/keys", name="k", user_id=user)
    path = f"/keys/{key['id']}"
    fresh = (await site.ask("POST", f"{path}/rotate", {"overlap": 60})).json()
    assert fresh["previous_until"] is not None and fresh["key"] != key["key"]
    for each in (key["key"], fresh["key"]):
        assert (await site.ask("GET", "/me", key=each)).status_code == 200
    # Without a body there is no overlap.
    last = (await site.ask("POST", f"{path}/rotate")).json()
    for each, status in ((key["key"], 401), (fresh["key"], 401), (last["key"], 200)):
        assert (await site.ask("GET", "/me", key=each)).status_code == status
    assert (await site.ask("POST", f"{path}/disable")).json()["disabled_at"] is not None
    assert fault(await site.ask("GET", "/me", key=last["key"])) == (401, "invalid_api_key")
    assert (await site.ask("POST", f"{path}/enable")).json()["disabled_at"] is None
    assert (await site.ask("PATCH", path, {"expires_at": "2020-01-01T00:00:00Z"})).json()["expires_at"] == "2020-01-01T00:00:00Z"
    assert fault(await site.ask("GET", "/me", key=last["key"])) == (401, "invalid_api_key")


async def test_whom_a_key_belongs_to(site: Site) -> None:
    acme, other = await site.make("/organizations", name="acme"), await site.make("/organizations", name="other")
    project = await site.make(f"/organizations/{acme['id']}/projects", name="p")
    account = await site.make(f"/organizations/{acme['id']}/service-accounts", name="ci")
    key = await site.make(f"/projects/{project['id']}/keys", name="k", service_account_id=account["id"])
    assert (await site.ask("GET", f"/service-accounts/{account['id']}/keys")).json()["data"][0]["id"] == key["id"]
    said = await site.ask("POST", f"/projects/{project['id']}/keys", {"name": "l", "project_id": "proj_other"})
    assert fault(said) == (422, "invalid")
    elsewhere = await site.ask("POST", f"/organizations/{other['id']}/keys", {"name": "l", "project_id": project["id"]})
    assert fault(elsewhere) == (422, "invalid")
    assert fault(await site.ask("GET", f"/organizations/{other['id']}/projects/{project['id']}/keys")) == (404, "not_found")
