"""Users and memberships: who is who, who has which role, and an organization that has an owner keeps one."""

from collections.abc import Callable

import pytest

from extproc.errors import Reject
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store, Tables

OPERATOR = Actor("operator")


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(Reject) as error:
        attempt()
    return error.value.fault.code


def test_users_are_found_by_who_vouches_for_them(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        alice = tables.users.create("Alice", email="Alice@Acme.test", issuer="https://id.test", subject="7")
        bob = tables.users.create("Bob", email="bob@acme.test")
        assert refused(lambda: tables.users.create("Other", email="ALICE@acme.test")) == "name_taken"
        assert refused(lambda: tables.users.create("Other", issuer="https://id.test", subject="7")) == "name_taken"
        assert refused(lambda: tables.users.create("Other", subject="7")) == "invalid"
        assert refused(lambda: tables.users.create("Other", email="nobody")) == "invalid"
        assert refused(lambda: tables.users.change(bob.id, {"email": "alice@acme.test"})) == "name_taken"
        assert bob.email == "bob@acme.test", "what was refused is not half done"
        tables.users.create("Other", issuer="https://other.test", subject="7")
    with store.read() as tables:
        found = tables.users.of_subject("https://id.test", "7")
        assert found is not None and (found.id, found.email) == (alice.id, "alice@acme.test")
        assert tables.users.of_email("BOB@acme.test") is tables.users.find(bob.id)
        assert tables.users.of_subject("https://id.test", "8") is None
    with store.write(OPERATOR) as tables:
        tables.users.delete(alice.id)
        again = tables.users.create("Alice", email="alice@acme.test")
        assert again.id != alice.id


def test_roles(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme, other = tables.organizations.create("acme"), tables.organizations.create("other")
        team = tables.teams.create(acme.id, "team")
        alice = tables.users.create("alice")
        in_acme = tables.memberships.create(acme.id, alice.id, "viewer")
        tables.memberships.create(acme.id, alice.id, "admin", team_id=team.id)
        role = tables.memberships.role
        assert [role(alice.id, acme.id), role(alice.id, acme.id, team.id), role(alice.id, other.id)] == ["viewer", "admin", None]
        assert refused(lambda: tables.memberships.create(acme.id, alice.id, "member")) == "name_taken"
        assert refused(lambda: tables.memberships.create(acme.id, alice.id, "admin", team_id=team.id)) == "name_taken"
        assert refused(lambda: tables.memberships.create(other.id, alice.id, "admin", team_id=team.id)) == "invalid"
        assert refused(lambda: tables.memberships.change(in_acme.id, {"role": "king"})) == "invalid"
        assert tables.memberships.change(in_acme.id, {"role": "member"}).role == role(alice.id, acme.id) == "member"
        tables.memberships.change(in_acme.id, {"disabled": True})
        assert role(alice.id, acme.id) is None


def owners(tables: Tables) -> tuple[str, str, str, str]:
    """An organization with an owner, who is the owner of a team as well."""
    acme = tables.organizations.create("acme")
    alice = tables.users.create("alice")
    owner = tables.memberships.create(acme.id, alice.id, "owner")
    tables.memberships.create(acme.id, alice.id, "owner", team_id=tables.teams.create(acme.id, "team").id)
    return acme.id, alice.id, owner.id, tables.users.create("bob").id


def test_the_last_owner_stays(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme, alice, owner, bob = owners(tables)
        second = tables.memberships.create(acme, bob, "admin")
        attempts: tuple[Callable[[], object], ...] = (
            lambda: tables.memberships.change(owner, {"role": "admin"}),
            lambda: tables.memberships.change(owner, {"disabled": True}),
            lambda: tables.memberships.delete(owner),
            lambda: tables.users.delete(alice),
        )
        for attempt in attempts:
            assert refused(attempt) == "last_owner"
        tables.memberships.change(second.id, {"role": "owner"})
        tables.users.delete(alice)
        assert refused(lambda: tables.memberships.delete(second.id)) == "last_owner"
        tables.organizations.delete(acme)
        tables.users.delete(bob)


def test_who_leaves_takes_no_key_along(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme, other = tables.organizations.create("acme"), tables.organizations.create("other")
        one, two = tables.teams.create(acme.id, "one"), tables.teams.create(acme.id, "two")
        alice = tables.users.create("alice")
        whole = tables.memberships.create(acme.id, alice.id, "member")
        tables.memberships.create(other.id, alice.id, "member")
        in_one = tables.memberships.create(acme.id, alice.id, "member", team_id=one.id)
        tables.memberships.create(acme.id, alice.id, "member", team_id=two.id)
        holders = {"one": (acme.id, one.id), "two": (acme.id, two.id), "none": (acme.id, None), "other": (other.id, None)}
        for name, (organization, team) in holders.items():
            tables.keys.create(Holder(organization, team_id=team, user_id=alice.id), name)
        tables.memberships.delete(in_one.id)
        assert [key.name for key in tables.keys.list().items] == ["two", "none", "other"]
        tables.memberships.delete(whole.id)
        assert [key.name for key in tables.keys.list().items] == ["other"]
        assert tables.memberships.role(alice.id, acme.id, two.id) is None
        assert tables.memberships.role(alice.id, other.id) == "member"
        tables.users.delete(alice.id)
        assert not [*tables.keys.list().items, *tables.memberships.list().items]
