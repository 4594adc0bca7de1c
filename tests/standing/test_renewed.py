"""Of whom a change of the configuration leaves nothing that is known."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from extproc.config.breaker import Breaker
from extproc.config.health import Health
from extproc.config.model import Config, Provider
from extproc.config.pool import ProviderKey
from extproc.standing.cooling import Name
from extproc.standing.renewed import Asked, asked, renewed

ONE = Provider(dialect="openai", base_url="https://one.test/v1", key="sk-1")
POOL = Provider(
    dialect="openai", base_url="https://pool.test/v1", keys=(ProviderKey(key="sk-a", name="a"), ProviderKey(key="sk-b", name="b"))
)
BEFORE = Config(providers={"one": ONE, "pool": POOL}, models=())


def names(**providers: Provider) -> list[Name]:
    return list(renewed(asked(BEFORE), asked(replace(BEFORE, providers={**BEFORE.providers, **providers}))))


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
    assert list(renewed(asked(BEFORE), asked(replace(BEFORE, providers={"pool": POOL})))) == [Name("one", "")]


def test_digests_hold_no_credential_and_are_the_same_in_another_process() -> None:
    told = msgspec.json.encode(asked(BEFORE))
    assert b"sk-" not in told
    assert msgspec.json.decode(told, type=dict[str, Asked]) == asked(BEFORE)
    # Of what is as by default nothing is said, so that more fields change nothing.
    assert asked(BEFORE)["one"].whole == sha256(b'{"base_url":"https://one.test/v1","dialect":"openai","key":"sk-1"}').hexdigest()
