"""What the configuration declares is in the store as it stands there, and is changed there alone."""

from pathlib import Path

import pytest

from extproc.config.declared import rows
from extproc.config.identities import DeclaredKey, DeclaredPlan, Identities, Membership, Organization, Part, User
from extproc.errors import Reject
from extproc.keys import digest
from extproc.store.declared import CONFIGURATION, apply
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store

OPERATOR = Actor("operator")
SECRET = "hg-" + "s" * 43
WHOLE = Identities(
    plans={"free": DeclaredPlan(limits=("requests=10/day",))},
    organizations={"acme": Organization(models=("gpt-*",), plan="free")},
    teams={"research": Part(organization="acme", name="The researchers")},
    users={"ann": User(email="ann@example.com")},
    memberships=(Membership(user="ann", organization="acme", role="owner"),),
    keys={"ci": DeclaredKey(organization="acme", team="research", user="ann", secret=SECRET)},
)


def bring(store: Store, identities: Identities) -> None:
    with store.write(Actor(CONFIGURATION)) as tables:
        apply(tables, rows(identities))


def code(refused: pytest.ExceptionInfo[Reject]) -> tuple[int, str]:
    return refused.value.fault.status, refused.value.fault.code


def test_it_is_there_and_again_changes_nothing(store: Store) -> None:
    bring(store, WHOLE)
    (key,) = store.following.each()
    assert (key.digest, key.id, key.tenant, key.name) == (digest(SECRET), "key_ci", "acme", "ci")
    assert key.owner is not None and key.owner.levels[:3] == ("org_acme", "team_research", "user_ann")
    levels, plans = store.following.levels()
    assert [level.id for level in levels] == ["org_acme"] and list(plans) == ["plan_free"]
    before = store.following.stamp()
    bring(store, WHOLE)
    assert store.following.stamp() == before
    with store.read() as tables:
        assert {entry.actor for entry in tables.audit.list()} == {CONFIGURATION}
        (found,) = tables.keys.of_prefix(SECRET)
        assert found.id == "key_ci"


def test_nobody_else_changes_it(store: Store) -> None:
    bring(store, WHOLE)
    with store.write(OPERATOR) as tables:
        for refused in (
            lambda: tables.teams.change("team_research", {"name": "x"}),
            lambda: tables.organizations.delete("org_acme"),
            lambda: tables.keys.rotate("key_ci"),
            lambda: tables.plans.change("plan_free", {"limits": ()}),
        ):
            with pytest.raises(Reject) as raised:
                refused()
            assert code(raised) == (409, "managed_by_configuration")
        # What is made beside it is nobody's but theirs who made it.
        key, _ = tables.keys.create(Holder("org_acme", team_id="team_research"), "by-hand")
        tables.keys.change(key.id, {"disabled": True})


def test_what_stands_there_no_more_is_taken_out_and_comes_back(store: Store) -> None:
    bring(store, WHOLE)
    with store.write(OPERATOR) as tables:
        tables.keys.create(Holder(tables.organizations.create("by-hand").id), "other")
        tables.keys.create(Holder("org_acme", team_id="team_research"), "of-the-team")
    bring(store, Identities())
    assert [key.name for key in store.following.each()] == ["other"]
    with store.read() as tables:
        assert [one.name for one in tables.organizations.list().items] == ["by-hand"]
        assert not tables.plans.list().items and not tables.users.list().items and not tables.memberships.list().items
    bring(store, WHOLE)
    assert sorted(key.name for key in store.following.each()) == ["ci", "other"]
    with store.read() as tables:
        assert tables.memberships.role("user_ann", "org_acme") == "owner"


def test_what_cannot_be_says_what_and_changes_nothing(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        tables.organizations.create("acme")
    with pytest.raises(Reject, match=r"^org_acme: There is another organization") as raised:
        bring(store, WHOLE)
    assert code(raised) == (409, "name_taken")
    with store.read() as tables:
        assert not tables.plans.list().items


def test_changes(store: Store, tmp_path: Path) -> None:
    bring(store, WHOLE)
    other = Identities(
        plans=WHOLE.plans,
        organizations={"acme": Organization(suspended=True)},
        teams={"research": Part(organization="acme")},
        users=WHOLE.users,
        memberships=WHOLE.memberships,
        keys={"ci": DeclaredKey(organization="acme", team="research", hash=f"sha256:{digest('hg-new').hex()}")},
    )
    bring(store, other)
    (key,) = store.following.each()
    assert (key.digest, key.owner and key.owner.user) == (digest("hg-new"), "")
    levels, _ = store.following.levels()
    assert [(level.id, level.closed, level.plan) for level in levels] == [("org_acme", True, None)]
    before = store.following.stamp()
    bring(store, other)
    assert store.following.stamp() == before
