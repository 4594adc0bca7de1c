"""Which requests a target is for."""

import pytest

from extproc.conditions import conditions
from extproc.config.model import When
from tests.scene import head, request


@pytest.mark.parametrize(
    ("when", "headers", "tenant", "holds"),
    [
        (When(headers={"x-region": "eu"}), {"x_region": "eu"}, "", True),
        (When(headers={"x-region": "eu"}), {"x_region": "eu-west"}, "", False),
        (When(headers={"x-region": "eu-*"}), {"x_region": "eu-west"}, "", True),
        (When(headers={"x-region": "*"}), {"x_region": "anything"}, "", True),
        (When(headers={"x-region": "*"}), {}, "", False),
        (When(headers={"x-region": "e.*"}), {"x_region": "eu"}, "", False),
        (When(headers={"x-a": "1", "x-b": "2"}), {"x_a": "1", "x_b": "2"}, "", True),
        (When(headers={"x-a": "1", "x-b": "2"}), {"x_a": "1"}, "", False),
        (When(tenants=("red", "blue-*")), {}, "red", True),
        (When(tenants=("red", "blue-*")), {}, "blue-2", True),
        (When(tenants=("red", "blue-*")), {}, "redder", False),
        (When(tenants=("red",)), {}, "", False),
        (When(tenants=("red",), headers={"x-a": "1"}), {"x_a": "1"}, "red", True),
        (When(tenants=("red",), headers={"x-a": "1"}), {"x_a": "1"}, "green", False),
        (When(tenants=("a*b*c",)), {}, "a--b--bc", True),
        (When(tenants=("a*b",)), {}, "ab-b-", False),
    ],
)
def test_they_hold(when: When, headers: dict[str, str], tenant: str, holds: bool) -> None:
    made = conditions(when)
    assert made is not None
    assert made.hold(request(head(**headers), tenant=tenant)) is holds


def test_none() -> None:
    assert conditions(When()) is None


def test_a_pattern_that_nothing_matches_takes_no_time() -> None:
    made = conditions(When(tenants=("*".join("a" * 30) + "*b",)))
    assert made is not None
    assert not made.hold(request(tenant="a" * 5_000))
