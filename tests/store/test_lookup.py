"""Who is meant by what a token says, and which teams somebody is in."""

from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.named import Named
from extproc.identity.record import Owner
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store


def test_resolve(store: Store) -> None:
    with store.write(Actor("operator")) as tables:
        acme, other = tables.organizations.create("acme"), tables.organizations.create("other")
        team, account = tables.teams.create(acme.id, "research"), tables.service_accounts.create(acme.id, "ci")
        tables.teams.create(other.id, "research")
        ann = tables.users.create("Ann", email="ann@example.com", issuer="https://login.test", subject="1")
        tables.memberships.create(acme.id, ann.id, "member", team_id=team.id)
    resolve = store.following.resolve
    issuer = "https://login.test"
    whole = Resolved(Owner(acme.id, team=team.id, user=ann.id), "acme")
    assert resolve(Claimed(issuer, "acme", "research", "1")) == resolve(Claimed(issuer, acme.id, team.id, ann.id)) == whole
    assert resolve(Claimed(issuer, team=team.id, user="1")) == whole
    assert resolve(Claimed("", "acme", service_account="ci")) == Resolved(Owner(acme.id, service_account=account.id), "acme")
    # A user of one organization belongs to that one; one of two has to say which.
    assert resolve(Claimed(issuer, user="1")) == Resolved(Owner(acme.id, user=ann.id), "acme")
    with store.write(Actor("operator")) as tables:
        tables.memberships.create(other.id, ann.id, "member")
    assert resolve(Claimed(issuer, user="1")) == Resolved(Owner("", user=ann.id), "")
    missing = {
        "organization 'x'": Claimed(issuer, "x"),
        "team 'x'": Claimed(issuer, "acme", "x"),
        "team 'research'": Claimed(issuer, team="research"),
        "service account 'x'": Claimed("", "acme", service_account="x"),
        "user '1'": Claimed("https://else.test", "acme", user="1"),
        # An address is nothing that an issuer vouches for.
        "user 'ann@example.com'": Claimed(issuer, "acme", user="ann@example.com"),
        f"team '{team.id}'": Claimed(issuer, "other", team.id),
    }
    assert {resolve(said).missing for said in missing.values()} == missing.keys()


def test_teams(store: Store) -> None:
    with store.write(Actor("operator")) as tables:
        acme, ann = tables.organizations.create("acme"), tables.users.create("Ann")
        first, second, third = (tables.teams.create(acme.id, name) for name in ("first", "second", "third"))
        for team in (first, second):
            tables.memberships.create(acme.id, ann.id, "member", team_id=team.id)
    told = [TeamName(team.id, team.name, acme.id) for team in (first, second, third)]
    teams = store.following.teams
    assert teams(Owner(acme.id, team=third.id, user=ann.id)) == told[2:]
    assert teams(Owner(acme.id, user=ann.id)) == told[:2]
    assert teams(Owner(acme.id)) == []


def test_names(store: Store) -> None:
    with store.write(Actor("operator")) as tables:
        acme, ann, free = tables.organizations.create("acme"), tables.users.create("Ann"), tables.plans.create("free")
        team, gone = tables.teams.create(acme.id, "red"), tables.teams.create(acme.id, "gone")
        key, _ = tables.keys.create(Holder(acme.id, team_id=team.id), "app")
        tables.teams.delete(gone.id)
    around = (acme.id, "acme")
    assert store.following.named([acme.id, ann.id, free.id, team.id, gone.id, key.id, "team_nobodys", "nothing"]) == {
        acme.id: Named(acme.id, "acme"), ann.id: Named(ann.id, "Ann"), free.id: Named(free.id, "free"),
        team.id: Named(team.id, "red", organization=around), key.id: Named(key.id, "app", key.prefix or "", around, (team.id, "red")),
    }  # fmt: skip
