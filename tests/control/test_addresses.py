"""One name of a cluster never means two addresses, so that no request carries a credential to another place than it was meant for."""

from msgspec.structs import replace

from extproc.config.model import Config, Model, Provider, aim
from extproc.config.timeouts import Patience
from extproc.control.addresses import Addresses
from extproc.envoy.chains import orders
from extproc.envoy.silences import silences


def config(url: str, server_name: str | None = None) -> Config:
    provider = Provider(dialect="openai", base_url=url, key="sk-x", tls_server_name=server_name)
    return Config(
        providers={"p": provider, "q": Provider(dialect="openai", base_url="http://q/v1")}, models=(Model(name="m", targets=("p/m",)),)
    )


def test_a_provider_that_moves_and_returns() -> None:
    addresses = Addresses()
    old, new = config("http://old/v1"), config("http://new/v1")
    assert addresses.aliases(old) == {}
    moved = addresses.aliases(new)
    assert set(moved) == {"p"}
    assert moved["p"].startswith("p~")
    both = addresses.seen_by_envoy(old, new)
    assert {name: provider.base_url for name, provider in both.providers.items()} == {
        "p": "http://old/v1", moved["p"]: "http://new/v1", "q": "http://q/v1",
    }  # fmt: skip
    assert addresses.aliases(old) == {}
    assert addresses.aliases(new) == moved


def test_what_is_an_address() -> None:
    addresses = Addresses()
    first = config("https://p/v1")
    assert addresses.aliases(first) == {}
    assert addresses.aliases(config("https://p/v1", "other")) != {}
    provider = first.providers["p"]
    rotated = replace(first, providers={"p": replace(provider, key="sk-y", timeouts=replace(provider.timeouts, idle=7))})
    assert addresses.aliases(rotated) == {}
    assert addresses.seen_by_envoy(rotated).providers == rotated.providers


def test_what_envoy_is_told_of_a_provider_that_has_moved() -> None:
    """Its models, too, know it by the name that it has there; those of the configuration before are still known."""
    addresses = Addresses()
    old = replace(
        config("http://old/v1"),
        envoy_version="1.38",
        models=(Model(name="m", targets=("p/m", "q"), timeouts=Patience(first_byte=9, idle=77)),),
    )
    new = replace(
        config("http://new/v1"),
        envoy_version="1.38",
        models=(Model(name="m", targets=("p", "q/m"), timeouts=Patience(first_byte=9, idle=99)),),
    )
    addresses.aliases(old)
    (moved,) = addresses.aliases(new).values()
    both, alone = addresses.seen_by_envoy(old, new), addresses.seen_by_envoy(new)
    assert [aim(target).to for target in alone.models[0].targets] == [moved, "q/m"]
    assert {"120", "77", "99"} - silences(both).keys() == set()
    assert "99" in silences(alone)
    assert "77" not in silences(alone)
    assert set(orders(both)) == {("p", "q"), ("q", "p"), (moved, "q"), ("q", moved)}


def test_who_sets_the_key_is_part_of_it() -> None:
    """Else, while a reload is under way, requests would go out without one."""
    addresses = Addresses()
    ours = config("https://p/v1")
    assert addresses.aliases(ours) == {}
    envoys = replace(ours, providers={"p": replace(ours.providers["p"], key=None, envoy_key_file="/run/key")})
    assert set(addresses.aliases(envoys)) == {"p"}
    moved = replace(ours, providers={"p": replace(ours.providers["p"], key=None, envoy_key_file="/run/other")})
    assert addresses.aliases(moved) == addresses.aliases(envoys)
    assert addresses.aliases(ours) == {}
