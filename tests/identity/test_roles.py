"""Who may do what: the table, and the rules that no line of it may break."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.identity.roles import RANKS, RULES, Action, Role, Standing, may, may_appoint
from tests.examples import examples

ROLES: tuple[Role, ...] = get_args(Role)
roles = st.sampled_from([None, *ROLES])
standings = st.builds(Standing, organization=roles, team=roles, own=st.booleans())
actions = st.sampled_from(sorted(RULES))


def test_every_action_has_its_line() -> None:
    assert set(RULES) == set(get_args(Action))
    assert list(RANKS) == list(ROLES)


@given(actions)
@settings(max_examples=examples(100))
def test_the_operator_may_do_everything_and_a_stranger_nothing(action: Action) -> None:
    assert may(Standing(operator=True), action)
    assert not may(Standing(), action)
    assert not may(Standing(own=True), action)


@given(standings, actions, roles, roles)
@settings(max_examples=examples(100))
def test_a_higher_role_may_do_no_less(standing: Standing, action: Action, organization: Role | None, team: Role | None) -> None:
    def highest(one: Role | None, other: Role | None) -> Role | None:
        return max((one, other), key=lambda role: RANKS[role] if role else 0)

    higher = Standing(False, highest(standing.organization, organization), highest(standing.team, team), own=True)
    assert may(higher, action) or not may(standing, action)


@pytest.mark.parametrize(
    ("standing", "action", "expected"),
    [
        # What bounds a level is set from outside it.
        (Standing(organization="owner"), "organization.bound", False),
        (Standing(organization="owner"), "organization.change", True),
        (Standing(organization="admin"), "team.bound", True),
        (Standing(team="owner"), "team.bound", False),
        (Standing(team="admin"), "team.change", True),
        (Standing(team="admin"), "key.bound", True),
        (Standing(organization="member", own=True), "key.bound", False),
        (Standing(organization="member", own=True), "membership.bound", False),
        (Standing(organization="owner", own=True), "user.bound", False),
        # One's own.
        (Standing(team="member", own=True), "key.create", True),
        (Standing(team="member"), "key.create", False),
        (Standing(team="viewer", own=True), "key.create", False),
        (Standing(organization="viewer", own=True), "membership.delete", True),
        (Standing(organization="viewer", own=True), "user.change", True),
        (Standing(organization="owner"), "user.change", False),
        # A role in a team ends with the team.
        (Standing(team="owner"), "project.read", False),
        (Standing(team="owner"), "team.create", False),
        (Standing(team="owner"), "audit.read", False),
        (Standing(organization="viewer"), "usage.read", True),
        (Standing(organization="viewer"), "key.read", False),
    ],
)
def test_who_may_what(standing: Standing, action: Action, expected: bool) -> None:
    assert may(standing, action) is expected


@given(standings, st.sampled_from(ROLES), roles, st.booleans())
@settings(max_examples=examples(100))
def test_nobody_gives_or_takes_what_he_has_not(standing: Standing, role: Role, before: Role | None, team: bool) -> None:
    if may_appoint(standing, role, before, team=team):
        held = [standing.organization, standing.team if team else None]
        mine = max(RANKS[one] if one else 0 for one in held)
        assert mine >= max(RANKS["admin"], RANKS[role], RANKS[before] if before else 0)


@pytest.mark.parametrize(
    ("standing", "role", "before", "team", "expected"),
    [
        (Standing(operator=True), "owner", None, False, True),
        (Standing(organization="owner"), "owner", "owner", False, True),
        (Standing(organization="admin"), "owner", None, False, False),
        (Standing(organization="admin"), "viewer", "owner", False, False),
        (Standing(organization="admin"), "admin", "member", False, True),
        (Standing(organization="member"), "viewer", None, False, False),
        (Standing(team="owner"), "member", None, False, False),
        (Standing(team="owner"), "owner", None, True, True),
        (Standing(team="admin"), "owner", None, True, False),
    ],
)
def test_who_appoints_whom(standing: Standing, role: Role, before: Role | None, team: bool, expected: bool) -> None:
    assert may_appoint(standing, role, before, team=team) is expected
