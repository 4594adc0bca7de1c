"""Of whom a change of the configuration leaves nothing that is known."""

from typing import Any

import pytest
from msgspec.structs import replace

from extproc.config.breaker import Breaker
from extproc.config.health import Health
from extproc.config.model import Config, Provider
from extproc.config.pool import ProviderKey
from extproc.standing.cooling import Name
from extproc.standing.renewed import renewed

ONE = Provider(dialect="openai", base_url="https://one.test/v1", key="sk-1")
POOL = Provider(
    dialect="openai", base_url="https://pool.test/v1", keys=(ProviderKey(key="sk-a", name="a"), ProviderKey(key="sk-b", name="b"))
)
BEFORE = Config(providers={"one": ONE, "pool": POOL}, models=())


def names(**providers: Provider) -> list[Name]:
    return list(renewed(BEFORE, replace(BEFORE, providers={**BEFORE.providers, **providers})))


@pytest.mark.parametrize(
    "said",
    [
        {"base_url": "https://other.test/v1"},
        {"key": "sk-2"},
        {"key": None, "envoy_key_file": "/run/secrets/one"},
        {"dialect": "anthropic"},
        {"auth": "none"},
        {"tls_server_name": "other.test"},
    ],
)
def test_a_provider_that_is_asked_otherwise(said: dict[str, Any]) -> None:
    assert names(one=replace(ONE, **said)) == [Name("one", "")]


def test_what_says_nothing_of_its_answers() -> None:
    same = replace(ONE, breaker=Breaker(failures=2), concurrency=3, health=Health(path="/health"), optional=True)
    weighed = (replace(POOL.keys[1], weight=2.0), POOL.keys[0], ProviderKey(key="sk-c", name="c"))  # type: ignore[type-var]
    assert names(one=same, pool=replace(POOL, keys=weighed, pool="least_used"), other=ONE) == []


def test_a_key_that_is_replaced_or_gone() -> None:
    keys = (ProviderKey(key="sk-new", name="b"),)
    assert names(pool=replace(POOL, keys=keys)) == [Name("pool", "", "a"), Name("pool", "", "b")]


def test_a_provider_that_is_gone() -> None:
    assert list(renewed(BEFORE, replace(BEFORE, providers={"pool": POOL}))) == [Name("one", "")]
