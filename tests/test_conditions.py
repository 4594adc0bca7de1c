"""Which requests a target is for."""

from typing import Any

import pytest

from extproc.conditions import Conditions, Facts, conditions
from extproc.config.model import Aim
from extproc.config.when import Size, When
from extproc.values import Request
from tests.scene import CHAT, head, request

ALL = When()


def made_of(when: When = ALL, **more: Any) -> Conditions:
    made = conditions(Aim(to="a", when=when, **more))
    assert made is not None
    return made


def fails(made: Conditions, asked: Request) -> str:
    return made.fails(Facts(asked, made.wanted))


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
    assert (fails(made_of(when), request(head(**headers), tenant=tenant)) == "") is holds


def test_none() -> None:
    assert conditions(Aim(to="a", when=When(tags=(), input=Size()))) is None


@pytest.mark.parametrize(
    ("headers", "body", "holds"),
    [
        ({}, {}, False),
        ({"x_headgate_tags": "batch"}, {}, True),
        ({"x_headgate_tags": "slow , free-eu"}, {}, True),
        ({"x_headgate_tags": "freedom,,"}, {}, False),
        ({"x_litellm_tags": "batch"}, {}, True),
        ({"x_headgate_tags": "slow", "x_litellm_tags": "batch"}, {}, True),
        ({}, {"metadata": {"tags": ["slow", "batch"]}}, True),
        ({}, {"metadata": {"tags": "slow,batch"}}, True),
        ({}, {"tags": ["batch"]}, True),
        ({"x_headgate_tags": "batch"}, {"tags": 5}, True),
        ({}, {"tags": 5, "metadata": {"tags": ["batch"]}}, True),
        ({}, {"tags": None, "metadata": ["batch"]}, False),
        ({}, {"metadata": None, "nested": {"tags": ["batch"]}}, False),
        ({}, {"metadata": {"tags": [1, "batch"]}}, False),
    ],
)
def test_tags(headers: dict[str, str], body: dict[str, Any], holds: bool) -> None:
    made = made_of(When(tags=("batch", "free-*")))
    assert fails(made, request(head(**headers), {**CHAT, **body})) == ("" if holds else "tags")


def test_regions() -> None:
    made = made_of(When(regions=("eu-*", "ch")))
    assert fails(made, request(head(x_headgate_region="eu-west"))) == fails(made, request(head(x_headgate_region="ch"))) == ""
    assert fails(made, request(head(x_headgate_region="us"))) == fails(made, request()) == "regions"
    # Who says no region is of none, and not of any.
    assert fails(made_of(When(regions=("*",))), request()) == ""


def test_size() -> None:
    made = made_of(When(input=Size(at_least=1000, at_most=1500)))
    found = [fails(made, request(body={**CHAT, "user": "x" * size})) for size in (10, 3_990, 5_800, 6_100)]
    assert found == ["input", "", "", "input"]
    assert (
        fails(
            made_of(When(input=Size(at_most=5))), request(head("/v1/audio/transcriptions", content_type="multipart/form-data"), b"x" * 1000)
        )
        == ""
    )


def test_needs_and_what_is_lacking() -> None:
    seeing, blind = made_of(When(needs=("images", "audio"))), made_of(lacks=("images", "tools"))
    picture = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    looking = {**CHAT, "messages": [{"role": "user", "content": [picture]}]}
    calling = {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert [fails(seeing, request(body=body)) for body in (CHAT, looking, calling)] == ["needs", "", "needs"]
    assert [fails(blind, request(body=body)) for body in (CHAT, looking, calling)] == ["", "lacks", "lacks"]


def test_a_body_is_not_decoded_that_has_none_of_the_words() -> None:
    asked = request(body=CHAT)
    assert fails(made_of(When(tags=("a",)), lacks=("images",)), asked) == "tags"
    assert fails(made_of(lacks=("images", "tools", "reasoning")), asked) == ""
    assert asked._json is None


def test_a_pattern_that_nothing_matches_takes_no_time() -> None:
    assert fails(made_of(When(tenants=("*".join("a" * 30) + "*b",))), request(tenant="a" * 5_000)) == "tenants"
