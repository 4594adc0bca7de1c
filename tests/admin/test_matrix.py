"""Each role beside each kind of thing: what it may do, over HTTP. `identity.roles` says why; here stands what comes of it."""

from typing import Any

from extproc.identity.roles import Role
from tests.admin.site import Site, fault

PEOPLE: tuple[Role, ...] = ("viewer", "member", "admin", "owner")
# By what is asked: the answer to a viewer, a member, an admin and an owner of the organization, then of one of its teams alone, then of
# another organization's owner. 2: done or shown; 3: 403; 4: 404.
MATRIX = {
    ("GET", "/organizations/{organization}"): "2222 2222 4",
    ("PATCH", "/organizations/{organization}", "bounds"): "3333 3333 4",
    ("DELETE", "/organizations/{organization}"): "3333 3333 4",
    ("GET", "/organizations/{organization}/usage"): "2222 3333 4",
    ("GET", "/organizations/{organization}/invoices/2026-09?format=csv"): "2222 3333 4",
    ("GET", "/organizations/{organization}/audit"): "3322 3333 4",
    ("GET", "/projects/{project}"): "2222 4444 4",
    ("PATCH", "/projects/{project}", "bounds"): "3322 4444 4",
    ("GET", "/projects/{project}/usage"): "2222 4444 4",
    ("GET", "/service-accounts/{account}"): "2222 4444 4",
    ("PATCH", "/service-accounts/{account}", "bounds"): "3322 4444 4",
    ("GET", "/teams/{team}"): "2222 2222 4",
    ("PATCH", "/teams/{team}", "bounds"): "3322 3333 4",
    ("PATCH", "/teams/{team}", "name"): "3322 3322 4",
    ("GET", "/teams/{team}/usage"): "2222 2222 4",
    ("POST", "/teams/{team}/keys", "new"): "3322 3322 4",
    ("GET", "/teams/{sibling}"): "2222 4444 4",
    ("PATCH", "/teams/{sibling}", "bounds"): "3322 4444 4",
    ("GET", "/teams/{sibling}/usage"): "2222 4444 4",
    ("GET", "/keys/{key}"): "4422 4422 4",
    ("GET", "/keys/{key}/usage"): "4422 4422 4",
    ("PATCH", "/keys/{key}", "bounds"): "4422 4422 4",
    ("POST", "/keys/{key}/rotate"): "4422 4422 4",
    ("POST", "/keys/{key}/disable"): "4422 4422 4",
    ("GET", "/keys/{siblings}"): "4422 4444 4",
    ("GET", "/members/{membership}"): "2222 2222 4",
    ("PATCH", "/members/{membership}", "bounds"): "3322 3322 4",
    ("GET", "/users/{user}"): "2222 2222 4",
    ("PATCH", "/users/{user}", "bounds"): "3333 3333 4",
    ("GET", "/users/{user}/usage"): "3333 3333 4",
    ("GET", "/usage"): "3333 3333 3",
    ("GET", "/invoices/2026-09"): "3333 3333 3",
    ("GET", "/audit"): "3333 3333 3",
    ("POST", "/plans", "new"): "3333 3333 3",
    ("POST", "/users", "new"): "3333 3333 3",
    ("POST", "/organizations", "new"): "3333 3333 3",
}
BODIES: dict[str, dict[str, Any]] = {
    "bounds": {"settings": {"limits": [{"unit": "cost", "amount": "1000000", "window": "month"}]}}, "name": {"name": "other"},
    "new": {"name": "new"},
}  # fmt: skip


async def _world(site: Site) -> dict[str, str]:
    """What there is, by the names in `MATRIX`."""
    organization = (await site.make("/organizations", name="acme"))["id"]
    here = f"/organizations/{organization}"
    found = {"organization": organization}
    for name, path in (("team", "teams"), ("sibling", "teams"), ("project", "projects"), ("account", "service-accounts")):
        found[name] = (await site.make(f"{here}/{path}", name=name))["id"]
    found["user"] = (await site.make("/users", name="user"))["id"]
    found["membership"] = (await site.make(f"/teams/{found['team']}/members", user_id=found["user"], role="viewer"))["id"]
    found["key"] = (await site.make(f"/teams/{found['team']}/keys", name="key"))["id"]
    found["siblings"] = (await site.make(f"/teams/{found['sibling']}/keys", name="sibling's"))["id"]
    return found


async def test_roles(site: Site) -> None:
    world = await _world(site)
    other = (await site.make("/organizations", name="elsewhere"))["id"]
    keys = [site.person(role, world["organization"], role)[1] for role in PEOPLE]
    keys += [site.person(f"{role} of a team", world["organization"], role, world["team"])[1] for role in PEOPLE]
    keys.append(site.person("stranger", other, "owner")[1])
    wrong = []
    for (method, path, *body), expected in MATRIX.items():
        for who, (key, digit) in enumerate(zip(keys, expected.replace(" ", ""), strict=True)):
            sent = {**BODIES[body[0]]} if body else None
            if sent is not None and "name" in sent:
                sent["name"] = f"{method} {path} {who}"
            answer = await site.ask(method, path.format(**world), sent, key=key)
            got = {200: "2", 201: "2", 204: "2", 403: "3", 404: "4"}.get(answer.status_code, answer.text)
            if got != digit:
                wrong.append((method, path, *body, (*PEOPLE, *(f"team {role}" for role in PEOPLE), "stranger")[who], digit, got))
    assert wrong == []


async def test_nobody_lifts_what_bounds_himself(site: Site) -> None:
    """An admin may bound members, and is bounded from outside as they are."""
    world = await _world(site)
    for place in ("organization", "team"):
        team = world["team"] if place == "team" else None
        user, key = site.person(f"of {place}", world["organization"], "admin", team)
        members = (await site.ask("GET", f"/{place}s/{world[place]}/members", key=key)).json()["data"]
        mine = next(one["id"] for one in members if one["user_id"] == user)
        assert (await site.ask("PATCH", f"/members/{mine}", BODIES["bounds"])).status_code == 200
        for lifted in ({"settings": {"limits": None}}, {"plan_id": None}, {"disabled": False}):
            assert fault(await site.ask("PATCH", f"/members/{mine}", lifted, key=key)) == (403, "permission_denied")
        assert (await site.ask("PATCH", f"/members/{mine}", {"role": "viewer"}, key=key)).status_code == 200
    # Who bounds the team stands outside it.
    user, key = site.person("both", world["organization"], "admin")
    mine = (await site.make(f"/teams/{world['team']}/members", user_id=user, role="member"))["id"]
    assert (await site.ask("PATCH", f"/members/{mine}", BODIES["bounds"], key=key)).status_code == 200


async def test_what_gateway_yaml_declares_is_nobodys_to_change_here(site: Site) -> None:
    tables = {
        "organizations": "INSERT INTO organizations (id, name, {0}) VALUES ('org_a', 'a', {1})",
        "teams": "INSERT INTO teams (id, organization_id, name, {0}) VALUES ('team_a-b', 'org_a', 'b', {1})",
        "projects": "INSERT INTO projects (id, organization_id, name, {0}) VALUES ('proj_a-b', 'org_a', 'b', {1})",
        "service-accounts": "INSERT INTO service_accounts (id, organization_id, name, {0}) VALUES ('sa_a-b', 'org_a', 'b', {1})",
        "users": "INSERT INTO users (id, name, {0}) VALUES ('user_u', 'u', {1})",
        "plans": "INSERT INTO plans (id, name, {0}) VALUES ('plan_p', 'p', {1})",
        "members": "INSERT INTO memberships (id, organization_id, user_id, role, {0}) VALUES ('mem_m', 'org_a', 'user_u', 'viewer', {1})",
        "keys": "INSERT INTO keys (id, organization_id, name, digest, {0}) VALUES ('key_k', 'org_a', 'k', x'00', {1})",
    }
    ids = {}
    with site.opened().database.write() as connection:
        for path, statement in tables.items():
            connection.exec_driver_sql(statement.format("created_at, updated_at, version", "1, 1, 1"))
            ids[path] = statement.split("VALUES ('")[1].split("'")[0]
    for path, id in ids.items():
        assert (await site.ask("GET", f"/{path}/{id}")).status_code == 200, path
        change: dict[str, Any] = {"name": "x"} if path == "plans" else {"disabled": True}
        assert fault(await site.ask("PATCH", f"/{path}/{id}", change)) == (409, "managed_by_configuration"), path
        assert fault(await site.ask("DELETE", f"/{path}/{id}")) == (409, "managed_by_configuration"), path
    for verb in ("rotate", "disable", "enable"):
        assert fault(await site.ask("POST", f"/keys/{ids['keys']}/{verb}")) == (409, "managed_by_configuration"), verb
