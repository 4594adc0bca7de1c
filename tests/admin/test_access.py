"""Who may do what: by key of a user, by token, and what nobody learns of what he may not see."""

from pathlib import Path

import pytest

from extproc.admin import operator_keys
from extproc.callers.tokens import NoSets, Tokens
from extproc.config.callers import Claims, Issuer
from tests.admin.site import Site, fault
from tests.callers import signer


async def test_who_is_not_known_is_told_nothing(site: Site) -> None:
    nothing = await site.ask("GET", "/organizations", key="")
    assert fault(nothing) == (401, "missing_api_key") and nothing.headers["www-authenticate"] == "Bearer"
    for key in ("hga-wrong", "hg-wrong", "sk-other", "ümlaut"):
        answer = await site.client.get("/organizations", headers=[(b"authorization", f"Bearer {key}".encode("latin-1"))])
        assert fault(answer) == (401, "invalid_api_key")
    # Before anything is said of the request itself.
    assert fault(await site.ask("POST", "/organizations?x", {}, key="hg-wrong")) == (401, "invalid_api_key")
    assert fault(await site.ask("GET", "/organizations?limit=0", key="hg-wrong")) == (401, "invalid_api_key")


async def test_another_admin_key_can_make_those_before_worthless(site: Site) -> None:
    beside = operator_keys.make(site.state, 2)
    assert (await site.ask("GET", "/me", key=beside)).json()["operator"] and (await site.ask("GET", "/me")).status_code == 200
    only = operator_keys.make(site.state, 3, only=True)
    assert (await site.ask("GET", "/me", key=only)).status_code == 200
    assert fault(await site.ask("GET", "/me")) == fault(await site.ask("GET", "/me", key=beside)) == (401, "invalid_api_key")
    assert (site.state / operator_keys.KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert only not in (site.state / operator_keys.HASHES_FILE).read_text()
    (site.state / operator_keys.HASHES_FILE).write_text("{")
    assert fault(await site.ask("GET", "/me", key=only)) == (503, "keys_unavailable")


async def test_roles_of_an_organization(site: Site) -> None:
    acme, other = await site.make("/organizations", name="acme"), await site.make("/organizations", name="other")
    red = await site.make(f"/organizations/{acme['id']}/teams", name="red")
    secret = await site.make(f"/organizations/{other['id']}/teams", name="secret")
    _, admin = site.person("ada", acme["id"], "admin")
    _, viewer = site.person("vic", acme["id"], "viewer")
    assert [one["id"] for one in (await site.ask("GET", "/organizations", key=viewer)).json()["data"]] == [acme["id"]]
    assert (await site.ask("GET", f"/teams/{red['id']}", key=viewer)).status_code == 200
    assert fault(await site.ask("PATCH", f"/teams/{red['id']}", {"name": "x"}, key=viewer)) == (403, "permission_denied")
    assert (await site.ask("PATCH", f"/teams/{red['id']}", {"name": "x"}, key=admin)).status_code == 200
    # What bounds the organization is set from outside it.
    assert fault(await site.ask("PATCH", f"/organizations/{acme['id']}", {"disabled": True}, key=admin)) == (403, "permission_denied")
    for path in (f"/teams/{secret['id']}", f"/organizations/{other['id']}", f"/organizations/{other['id']}/teams"):
        answer = await site.ask("GET", path, key=admin)
        assert fault(answer) == (404, "not_found")
        # The same as for what nobody has ever made.
        missing = path.replace(other["id"], f"org_{'0' * 20}").replace(secret["id"], f"team_{'0' * 20}")
        known = (await site.ask("GET", missing, key=admin)).json()["error"]["message"]
        assert known.replace("0" * 20, "") == answer.json()["error"]["message"].replace(other["id"][4:], "").replace(secret["id"][5:], "")
    for path in ("/organizations", "/users", "/plans"):
        assert fault(await site.ask("POST", path, {"name": "x"}, key=admin)) == (403, "permission_denied")
    assert fault(await site.ask("GET", "/audit", key=admin)) == (403, "permission_denied")
    assert (await site.ask("GET", f"/organizations/{acme['id']}/audit", key=admin)).status_code == 200
    assert fault(await site.ask("GET", f"/organizations/{acme['id']}/audit", key=viewer)) == (403, "permission_denied")


async def test_roles_of_a_team_reach_no_further(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    red, blue = [await site.make(f"/organizations/{acme['id']}/teams", name=name) for name in ("red", "blue")]
    lead, key = site.person("lea", acme["id"], "admin", red["id"])
    stranger, _ = site.person("sam", acme["id"], "viewer", blue["id"])
    assert (await site.ask("GET", "/me", key=key)).json()["teams"] == {red["id"]: "admin"}
    assert [one["id"] for one in (await site.ask("GET", f"/organizations/{acme['id']}/teams", key=key)).json()["data"]] == [red["id"]]
    assert fault(await site.ask("GET", f"/teams/{blue['id']}/members", key=key)) == (404, "not_found")
    assert fault(await site.ask("GET", f"/organizations/{acme['id']}/projects", key=key)) == (403, "permission_denied")
    assert {one["user_id"] for one in (await site.ask("GET", f"/teams/{red['id']}/members", key=key)).json()["data"]} == {lead}
    assert [one["id"] for one in (await site.ask("GET", "/users", key=key)).json()["data"]] == [lead]
    assert fault(await site.ask("GET", f"/users/{stranger}", key=key)) == (404, "not_found")
    made = await site.make(f"/teams/{red['id']}/keys", key=key, name="red's own")
    assert fault(await site.ask("POST", f"/teams/{red['id']}/keys", {"name": "t", "tenant": "other"}, key=key)) == (
        403,
        "permission_denied",
    )
    assert fault(await site.ask("POST", f"/organizations/{acme['id']}/keys", {"name": "t"}, key=key)) == (403, "permission_denied")
    assert {one["id"] for one in (await site.ask("GET", "/keys", key=key)).json()["data"]} >= {made["id"]}
    # What bounds the team, those around it set.
    assert (await site.ask("PATCH", f"/teams/{red['id']}", {"name": "rouge"}, key=key)).status_code == 200
    assert fault(await site.ask("PATCH", f"/teams/{red['id']}", {"settings": {"models": ["x"]}}, key=key)) == (403, "permission_denied")


async def test_a_member_has_keys_of_his_own_and_sees_no_others(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    red = await site.make(f"/organizations/{acme['id']}/teams", name="red")
    member, key = site.person("mia", acme["id"], "member")
    await site.make(f"/organizations/{acme['id']}/keys", name="another's")
    mine = await site.make(f"/organizations/{acme['id']}/keys", key=key, name="mine", user_id=member)
    assert {one["name"] for one in (await site.ask("GET", "/keys", key=key)).json()["data"]} == {"mia's", "mine"}
    assert fault(await site.ask("POST", f"/organizations/{acme['id']}/keys", {"name": "x"}, key=key)) == (403, "permission_denied")
    # A team's money is for who is in the team.
    refused = await site.ask("POST", f"/teams/{red['id']}/keys", {"name": "x", "user_id": member}, key=key)
    assert fault(refused) == (403, "permission_denied")
    assert (await site.ask("POST", f"/keys/{mine['id']}/disable", key=key)).status_code == 200
    assert fault(await site.ask("POST", f"/keys/{mine['id']}/enable", key=key)) == (403, "permission_denied")
    assert (await site.ask("POST", f"/keys/{mine['id']}/rotate", key=key)).status_code == 200
    assert (await site.ask("PATCH", f"/users/{member}", {"name": "Mia"}, key=key)).json()["name"] == "Mia"
    for others in ({"issuer": "i", "subject": "s"}, {"email": "taken@example.com"}):
        assert fault(await site.ask("PATCH", f"/users/{member}", others, key=key)) == (403, "permission_denied")


async def test_nobody_gets_roles_that_he_has_not(site: Site) -> None:
    acme = await site.make("/organizations", name="acme")
    owner, _ = site.person("olga", acme["id"], "owner")
    admin, key = site.person("ada", acme["id"], "admin")
    members = f"/organizations/{acme['id']}/members"
    by_user = {one["user_id"]: one["id"] for one in (await site.ask("GET", members, key=key)).json()["data"]}
    for what in (
        await site.ask("PATCH", f"/members/{by_user[admin]}", {"role": "owner"}, key=key),
        await site.ask("PATCH", f"/members/{by_user[owner]}", {"role": "viewer"}, key=key),
        await site.ask("DELETE", f"/members/{by_user[owner]}", key=key),
        # By a key of the owner's, he would be the owner.
        await site.ask("POST", f"/organizations/{acme['id']}/keys", {"name": "x", "user_id": owner}, key=key),
    ):
        assert fault(what) == (403, "permission_denied")
    held = next(
        one for one in (await site.ask("GET", f"/organizations/{acme['id']}/keys", key=key)).json()["data"] if one["user_id"] == owner
    )
    assert fault(await site.ask("POST", f"/keys/{held['id']}/rotate", key=key)) == (403, "permission_denied")
    new = await site.make("/users", name="new")
    joined = await site.make(members, key=key, user_id=new["id"], role="admin")
    assert fault(await site.ask("POST", members, {"user_id": new["id"], "role": "owner"}, key=key)) == (403, "permission_denied")
    assert (await site.ask("DELETE", f"/members/{joined['id']}", key=key)).status_code == 204
    assert (await site.ask("DELETE", f"/members/{by_user[admin]}", key=key)).status_code == 204
    assert (await site.ask("GET", "/organizations", key=key)).status_code == 401


async def test_a_key_reaches_no_further_than_what_it_belongs_to(site: Site) -> None:
    acme, other = await site.make("/organizations", name="acme"), await site.make("/organizations", name="other")
    red, blue = [await site.make(f"/organizations/{acme['id']}/teams", name=name) for name in ("red", "blue")]
    project = await site.make(f"/organizations/{acme['id']}/projects", name="p")
    user, whole = site.person("olga", acme["id"], "owner")
    await site.make(f"/organizations/{other['id']}/members", user_id=user, role="owner")
    assert (await site.ask("GET", "/me", key=whole)).json()["organizations"] == {acme["id"]: "owner"}
    of_team = site.lend(user, acme["id"], "t", team_id=red["id"])
    assert (await site.ask("GET", "/me", key=of_team)).json()["teams"] == {red["id"]: "owner"}
    assert (await site.ask("GET", f"/teams/{red['id']}", key=of_team)).status_code == 200
    assert fault(await site.ask("GET", f"/teams/{blue['id']}", key=of_team)) == (404, "not_found")
    of_project = site.lend(user, acme["id"], "p", project_id=project["id"])
    assert fault(await site.ask("GET", f"/projects/{project['id']}", key=of_project)) == (404, "not_found")
    nobodys = await site.make(f"/organizations/{acme['id']}/keys", name="n")
    me = (await site.ask("GET", "/me", key=nobodys["key"])).json()
    assert (me["organizations"], me["teams"], me["user_id"], me["actor"]) == ({}, {}, None, nobodys["id"])
    assert (await site.ask("GET", "/organizations", key=nobodys["key"])).json()["data"] == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"endpoints": ["chat"]}, (403, "endpoint_not_allowed")),
        ({"networks": ["192.168.0.0/16"]}, (403, "address_not_allowed")),
        ({"endpoints": ["chat", "admin"], "networks": ["10.0.0.0/8"]}, None),
    ],
)
async def test_what_a_key_is_for(site: Site, settings: dict[str, list[str]], expected: tuple[int, str] | None) -> None:
    acme = await site.make("/organizations", name="acme")
    user, _ = site.person("olga", acme["id"], "owner")
    key = await site.make(f"/organizations/{acme['id']}/keys", name="k", user_id=user, settings=settings)
    answer = await site.ask("GET", "/me", key=key["key"])
    assert answer.status_code == 200 if expected is None else fault(answer) == expected


@pytest.mark.parametrize("path", ["/organizations/{organization}", "/users/{user}", "/members/{membership}"])
async def test_who_is_suspended_does_nothing_here(site: Site, path: str) -> None:
    acme = await site.make("/organizations", name="acme")
    site.person("other", acme["id"], "owner")
    user, key = site.person("olga", acme["id"], "owner")
    members = (await site.ask("GET", f"/organizations/{acme['id']}/members")).json()["data"]
    ids = {"organization": acme["id"], "user": user, "membership": next(one["id"] for one in members if one["user_id"] == user)}
    assert (await site.ask("PATCH", path.format(**ids), {"disabled": True})).status_code == 200
    assert fault(await site.ask("GET", "/me", key=key)) == (403, "suspended")


async def test_tokens(tmp_path: Path) -> None:
    keys = signer.jwks(signer.public("p256", "k"))
    issuer = Issuer(issuer=signer.ISSUER, audiences=(signer.AUDIENCE,), jwks=keys, claims=Claims(tenant="org", roles="roles"))
    site = Site(tmp_path, Tokens((issuer,), NoSets()))
    acme = await site.make("/organizations", name="acme")
    admin = signer.token(signer.claims(org="acme", roles=["viewer", "admin"]))
    me = (await site.ask("GET", "/me", key=admin)).json()
    assert (me["actor"], me["organizations"]) == ("alice of acme", {acme["id"]: "admin"})
    await site.make(f"/organizations/{acme['id']}/teams", key=admin, name="red")
    assert (await site.ask("GET", "/audit?limit=1")).json()["data"][0]["actor"] == "alice of acme"
    assert (await site.ask("GET", "/organizations", key=signer.token(signer.claims(org="acme")))).json()["data"] == []
    assert fault(await site.ask("GET", "/me", key=signer.token(signer.claims(exp=1)))) == (401, "expired_token")
    assert fault(await site.ask("GET", "/me", key=signer.token(signer.claims(), which=1))) == (401, "invalid_token")
    # Whom the store knows has the roles that the store knows.
    user = await site.make("/users", name="Alice", issuer=signer.ISSUER, subject="alice")
    await site.make(f"/organizations/{acme['id']}/members", user_id=user["id"], role="viewer")
    me = (await site.ask("GET", "/me", key=admin)).json()
    assert (me["user_id"], me["organizations"]) == (user["id"], {acme["id"]: "viewer"})
    other = signer.token(signer.claims(sub="bob", org="acme", roles=["admin"]))
    for off, held in ((True, {}), (False, {acme["id"]: "admin"})):
        assert (await site.ask("PATCH", f"/organizations/{acme['id']}", {"disabled": off})).status_code == 200
        assert (await site.ask("GET", "/me", key=other)).json()["organizations"] == held
        assert bool((await site.ask("GET", "/me", key=admin)).json()["organizations"]) is not off
    assert (await site.ask("PATCH", f"/users/{user['id']}", {"disabled": True})).status_code == 200
    assert fault(await site.ask("GET", "/me", key=admin)) == (403, "suspended")
