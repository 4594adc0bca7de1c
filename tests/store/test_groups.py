"""Organizations, projects, teams, service accounts, plans: made, changed, deleted, with all that is in them."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from extproc.errors import Reject
from extproc.identity.ids import kind_of
from extproc.identity.settings import Limit, Settings
from extproc.store.keys import Holder
from extproc.store.models import Actor, AuditEntry, Key, Team
from extproc.store.store import Store

OPERATOR = Actor("operator", "request-1")
DAILY = Limit(unit="requests", amount=Decimal(10), window="day")


def refused(error: pytest.ExceptionInfo[Reject]) -> tuple[int, str]:
    return error.value.fault.status, error.value.fault.code


def test_made_and_found_by_another_one(store: Store) -> None:
    settings = Settings(models=("gpt-*",), limits=(DAILY,), tags={"a": "ä"})
    with store.write(OPERATOR) as tables:
        plan = tables.plans.create("free", (DAILY,))
        acme = tables.organizations.create("acme", settings=settings, plan_id=plan.id)
        team = tables.teams.create(acme.id, "research")
        tables.projects.create(acme.id, "research")
        tables.service_accounts.create(acme.id, "robot")
    with store.read() as tables:
        found = tables.organizations.find(acme.id)
        assert (found.name, found.settings, found.plan_id, found.version, found.deleted_at) == ("acme", settings, plan.id, 1, None)
        assert tables.organizations.named("acme") is found
        assert tables.plans.find(plan.id).limits == (DAILY,)
        assert [one.name for one in tables.teams.list(Team.organization_id == acme.id).items] == ["research"]
        assert tables.teams.find(team.id).settings == Settings()
        with pytest.raises(Reject) as error:
            tables.projects.find(team.id)
    assert refused(error) == (404, "not_found")
    assert kind_of(acme.id) == "organization"


def test_a_change_is_a_new_version(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme = tables.organizations.create("acme")
    with store.write(OPERATOR) as tables:
        changed = tables.organizations.change(acme.id, {"settings": Settings(providers=("openai",)), "disabled": True}, version=1)
        assert (changed.version, changed.disabled_at is not None) == (2, True)
        assert tables.organizations.change(acme.id, {"disabled": True}, version=2).version == 2, "nothing was changed"
    with store.write(OPERATOR) as tables, pytest.raises(Reject) as error:
        tables.organizations.change(acme.id, {"disabled": False}, version=1)
    assert refused(error) == (412, "version_mismatch")
    with store.write(OPERATOR) as tables, pytest.raises(Reject) as error:
        tables.organizations.change(acme.id, {"name": "other"})
    assert refused(error) == (422, "invalid")
    with store.read() as tables:
        found = tables.organizations.find(acme.id)
        assert (found.settings.providers, found.version) == (("openai",), 2)


def test_names(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme, other = tables.organizations.create("acme"), tables.organizations.create("other")
        one = tables.teams.create(acme.id, "one")
        tables.teams.create(other.id, "one")
        two = tables.teams.create(acme.id, "two")
        for attempt in (
            lambda: tables.teams.create(acme.id, "one"),
            lambda: tables.teams.change(two.id, {"name": "one"}),
            lambda: tables.organizations.create("acme"),
        ):
            with pytest.raises(Reject) as error:
                attempt()
            assert refused(error) == (409, "name_taken")
        for name in ("", " ", "a" * 129, "a\n", " a"):
            with pytest.raises(Reject) as error:
                tables.teams.create(acme.id, name)
            assert refused(error) == (422, "invalid")
        # A team's name is free again when the team is gone; an organization's stays what the ledger knows it by.
        tables.teams.delete(one.id)
        assert tables.teams.change(two.id, {"name": "one"}).name == "one"
        tables.organizations.delete(other.id)
        with pytest.raises(Reject) as error:
            tables.organizations.create("other")
        assert refused(error) == (409, "name_taken")


def test_what_is_refused_leaves_nothing_behind(store: Store) -> None:
    def both() -> None:
        with store.write(OPERATOR) as tables:
            acme = tables.organizations.create("acme")
            tables.teams.create(acme.id, "")

    with pytest.raises(Reject):
        both()
    with store.read() as tables:
        assert tables.organizations.list().items == []
        assert tables.audit.list() == []


def test_all_that_is_in_an_organization_goes_with_it(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme, other = tables.organizations.create("acme"), tables.organizations.create("other")
        team = tables.teams.create(acme.id, "team")
        project = tables.projects.create(acme.id, "project")
        robot = tables.service_accounts.create(acme.id, "robot")
        user = tables.users.create("alice")
        member = tables.memberships.create(acme.id, user.id, "member", team_id=team.id)
        keys = [
            tables.keys.create(Holder(acme.id, **held), name)[0]
            for name, held in {
                "plain": {},
                "team": {"team_id": team.id, "user_id": user.id},
                "project": {"project_id": project.id, "service_account_id": robot.id},
            }.items()
        ]
        elsewhere, _ = tables.keys.create(Holder(other.id), "elsewhere")
    with store.write(OPERATOR) as tables:
        tables.organizations.delete(acme.id, version=1)
    with store.read() as tables:
        assert not [*tables.teams.list().items, *tables.projects.list().items, *tables.service_accounts.list().items]
        assert [key.id for key in tables.keys.list().items] == [elsewhere.id]
        assert {key.id for key in tables.keys.list(Key.organization_id == acme.id, deleted=True).items} == {key.id for key in keys}
        assert tables.memberships.find(member.id, deleted=True).version == 2
        assert tables.users.find(user.id).name == "alice", "a person is nobody's"
        with pytest.raises(Reject):
            tables.organizations.find(acme.id)
        (entry,) = tables.audit.list(AuditEntry.action == "delete")
        assert entry.after is not None
        assert json.loads(entry.after)["with"] == {"key": 3, "membership": 1, "service_account": 1, "team": 1, "project": 1}
    with store.write(OPERATOR) as tables, pytest.raises(Reject) as error:
        tables.teams.create(acme.id, "late")
    assert refused(error) == (422, "invalid")


def test_a_plan_that_somebody_has_stays(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        plan = tables.plans.create("free", (DAILY,))
        acme = tables.organizations.create("acme", plan_id=plan.id)
        with pytest.raises(Reject) as error:
            tables.plans.delete(plan.id)
        assert refused(error) == (409, "in_use")
        tables.organizations.change(acme.id, {"plan_id": None})
        tables.plans.delete(plan.id)
        with pytest.raises(Reject) as error:
            tables.organizations.change(acme.id, {"plan_id": plan.id})
        assert refused(error) == (422, "invalid")


def test_lists_go_on_where_they_ended(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme = tables.organizations.create("acme")
        made = [tables.teams.create(acme.id, f"team-{number}").id for number in range(7)]
    with store.read() as tables:
        seen, after = [], ""
        for expected in (3, 3, 1):
            page = tables.teams.list(after=after, limit=3)
            assert len(page.items) == expected
            seen += [team.id for team in page.items]
            after = page.after
        assert (seen, after) == (made, "")
        assert tables.teams.list(limit=7).after == ""
        assert tables.teams.count(Team.organization_id == acme.id) == 7
        with pytest.raises(Reject) as error:
            tables.teams.list(after=acme.id)
    assert refused(error) == (422, "invalid")


def test_each_change_is_in_the_log(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        acme = tables.organizations.create("acme")
        team = tables.teams.create(acme.id, "one", settings=Settings(models=("a",)))
    with store.write(Actor("user_x")) as tables:
        tables.teams.change(team.id, {"name": "two", "settings": Settings(models=("b",))})
        tables.teams.delete(team.id)
    with store.read() as tables:
        deleted, changed, created, first = tables.audit.list(AuditEntry.organization_id == acme.id)
        assert [entry.id for entry in tables.audit.list(before=changed.id, limit=1)] == [created.id]
    assert (first.kind, first.entity_id, first.action, first.request_id) == ("organization", acme.id, "create", "request-1")
    assert (changed.actor, changed.action, changed.request_id) == ("user_x", "change", None)
    assert changed.before is not None and changed.after is not None
    assert json.loads(changed.before) == {"name": "one", "settings": {"models": ["a"]}}
    assert json.loads(changed.after) == {"name": "two", "settings": {"models": ["b"]}}
    assert (deleted.action, created.before) == ("delete", None)


def test_the_database_itself_keeps_what_belongs_together(store: Store) -> None:
    """Whoever has it in his hands."""
    with store.write(OPERATOR) as tables:
        tables.organizations.create("acme")
    teams = "INSERT INTO teams (id, created_at, updated_at, version, organization_id, name) VALUES ('team_x', 1, 1, 1, 'org_nobody', 'x')"
    twice = "INSERT INTO organizations (id, created_at, updated_at, version, name) VALUES ('org_x', 1, 1, 1, 'acme')"
    for statement in (teams, twice):
        with pytest.raises(IntegrityError), store.database.write() as connection:
            connection.execute(text(statement))
