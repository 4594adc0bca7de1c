"""Settings are inherited: inner levels narrow, add and name; they never widen."""

from decimal import Decimal
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.identity.levels import EVERYTHING, ORDER, Applied, Grant, Grants, Level, inherit
from extproc.identity.settings import NOTHING, Limit, Plan, Settings
from tests.examples import examples

MODELS = ("gpt-5", "gpt-5-mini", "claude-4", "claude-4\nx", "")
PROVIDERS = ("openai", "anthropic")
ENDPOINTS = ("chat", "embeddings")
ADDRESSES = ("10.1.2.3", "10.9.9.9", "::ffff:10.1.2.3", "2001:db8::7", "192.0.2.1")
DAILY = Limit(unit="requests", amount=Decimal(10), window="day")
MONEY = Limit(unit="cost", amount=Decimal("0.01"), window="month", zone="Europe/Berlin", hard=False)
FREE = Plan(id="plan_free", name="free", limits=(DAILY, MONEY))


def subsets(*names: str) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from(names), unique=True).map(tuple)


settings_of_a_level = st.builds(
    Settings,
    models=subsets("*", "gpt-*", "gpt-5", "*-4*", "claude-4"),
    providers=subsets(*PROVIDERS, "groq"),
    endpoints=subsets(*ENDPOINTS),
    networks=subsets("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "192.0.2.1"),
    limits=st.lists(st.sampled_from([DAILY, MONEY]), max_size=2).map(tuple),
    tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "2"])),
    cost_centre=st.sampled_from(["", "4711", "0815"]),
    guardrails=st.lists(st.sampled_from(["pii", "secrets"]), unique=True).map(tuple),
)
levels = st.builds(
    Level,
    kind=st.sampled_from(ORDER),
    id=st.sampled_from(["one", "two"]),
    settings=st.just(NOTHING) | settings_of_a_level,
    plan=st.none() | st.just(FREE),
    closed=st.sampled_from([False, False, True]),
)
some_levels = st.lists(levels, max_size=6)


def questions(grant: Grant) -> list[bool]:
    return [
        *map(grant.allows_model, MODELS),
        *map(grant.allows_provider, PROVIDERS),
        *map(grant.allows_endpoint, ENDPOINTS),
        *map(grant.allows_address, ADDRESSES),
    ]


def by_the_words(level: Level) -> list[bool]:
    """What one level alone allows, as its documentation says it."""
    said = level.settings

    def inside(address: str) -> bool:
        return any(ip_address(address.removeprefix("::ffff:")) in ip_network(one) for one in said.networks or ())

    return [
        *(said.models is None or any(fnmatchcase(model, one) for one in said.models) for model in MODELS),
        *(said.providers is None or one in said.providers for one in PROVIDERS),
        *(said.endpoints is None or one in said.endpoints for one in ENDPOINTS),
        *(said.networks is None or inside(one) for one in ADDRESSES),
    ]


@given(some_levels)
@settings(max_examples=examples(60))
def test_what_all_levels_allow_is_allowed(given_levels: list[Level]) -> None:
    expected = [all(answers) for answers in zip(*map(by_the_words, [Level(kind="gateway"), *given_levels]), strict=True)]
    grant = inherit(given_levels)
    assert questions(grant) == expected
    assert questions(grant) == expected, "what is remembered is the same"
    assert (grant.closed is not None) == any(level.closed for level in given_levels)


@given(some_levels, levels)
@settings(max_examples=examples(60))
def test_another_level_only_narrows(given_levels: list[Level], more: Level) -> None:
    before, after = inherit(given_levels), inherit([*given_levels, more])
    assert all(was or not now for was, now in zip(questions(before), questions(after), strict=True))
    assert set(before.limits) <= set(after.limits)
    assert len(after.limits) == len(before.limits) + len(more.settings.limits) + (len(FREE.limits) if more.plan else 0)
    assert set(before.guardrails) <= set(after.guardrails)
    assert before.tags.keys() <= after.tags.keys()


@given(some_levels)
@settings(max_examples=examples(60))
def test_what_is_said_further_in_names(given_levels: list[Level]) -> None:
    grant = inherit(given_levels)
    inwards = sorted(given_levels, key=lambda level: ORDER.index(level.kind))
    tags: dict[str, str] = {}
    centre = ""
    for level in inwards:
        tags |= level.settings.tags
        centre = level.settings.cost_centre or centre
    assert (grant.tags, grant.cost_centre) == (tags, centre)


def test_limits_count_where_they_stand() -> None:
    acme = Level(kind="organization", id="org_acme", settings=Settings(limits=(MONEY,)), plan=FREE)
    alice = Level(kind="user", id="user_alice", settings=Settings(limits=(DAILY,)))
    assert inherit([alice, acme]).limits == (
        Applied("organization", "org_acme", MONEY),
        Applied("organization", "org_acme", DAILY, "free"),
        Applied("organization", "org_acme", MONEY, "free"),
        Applied("user", "user_alice", DAILY),
    )


def test_those_of_the_same_levels_share_a_grant() -> None:
    everyone = Level(kind="gateway", settings=Settings(models=("gpt-*", "claude-*")))
    acme = Level(kind="organization", id="org_acme", settings=Settings(providers=("openai",)))
    grants = Grants([everyone, acme, Level(kind="team", id="team_quiet")])
    one = grants.find(("org_acme", "team_quiet", "user_1"))
    assert one is grants.find(("org_acme", "user_2"))
    assert (one.allows_model("gpt-5"), one.allows_model("o1"), one.allows_provider("groq")) == (True, False, False)
    assert grants.find(()).allows_provider("groq") and not grants.find(()).allows_model("o1")
    own = grants.find(("org_acme",), Level(kind="key", id="key_1", settings=Settings(models=("gpt-5",))))
    assert (own.allows_model("gpt-5"), own.allows_model("claude-4"), own.allows_provider("groq")) == (True, False, False)
    assert grants.find(("org_acme",), Level(kind="key", id="key_2")) is one
    assert Grants([]).find(("org_x", "key_y")) is EVERYTHING
    assert all(questions(EVERYTHING))


def test_who_asks_for_many_models_fills_no_memory() -> None:
    grant = inherit([Level(kind="key", settings=Settings(models=("gpt-*",)))])
    for number in range(1000):
        assert grant.allows_model(f"gpt-{number}")
        assert not grant.allows_model(f"o-{number}")
    assert len(grant._known) <= 256


@pytest.mark.parametrize("address", ["", "unknown", "10.0.0.1:80", "/run/socket"])
def test_who_has_no_address_is_in_no_network(address: str) -> None:
    assert not inherit([Level(kind="key", settings=Settings(networks=("0.0.0.0/0", "::/0")))]).allows_address(address)
    assert EVERYTHING.allows_address(address)


@given(settings_of_a_level)
@settings(max_examples=examples(60))
def test_settings_are_told_as_json_and_msgpack(said: Settings) -> None:
    assert msgspec.json.decode(msgspec.json.encode(said), type=Settings) == said
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Settings) == said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"networks": ["10.0.0.1/8"]}', "10.0.0.1/8' is no network"),
        ('{"networks": ["here"]}', "'here' is no network"),
        ('{"modles": []}', "unknown field `modles`"),
        ('{"models": [""]}', "length >= 1"),
        ('{"limits": [{"unit": "requests", "amount": 1}]}', "either `window` or `seconds`"),
        ('{"limits": [{"unit": "requests", "amount": 1, "window": "day", "seconds": 5}]}', "either `window` or `seconds`"),
        ('{"limits": [{"unit": "requests", "amount": 1.5, "window": "day"}]}', "whole numbers"),
        ('{"limits": [{"unit": "concurrency", "amount": 1, "window": "day"}]}', "counted in no window"),
        ('{"limits": [{"unit": "cost", "amount": -1, "window": "day"}]}', "from 0 to"),
        ('{"limits": [{"unit": "cost", "amount": "NaN", "window": "day"}]}', "from 0 to"),
    ],
)
def test_what_cannot_be_set(text: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.json.decode(text, type=Settings)


def test_money_is_exact() -> None:
    said = msgspec.json.decode('{"limits": [{"unit": "cost", "amount": 0.1, "window": "month"}]}', type=Settings)
    assert said.limits[0].amount == Decimal("0.1")
