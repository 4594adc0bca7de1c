"""One name of a cluster never means two addresses, so that no request carries a credential to another place than it was meant for."""

from msgspec.structs import replace

from extproc.config.model import Config, Model, Provider
from extproc.control.addresses import Addresses


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
