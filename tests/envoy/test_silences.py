"""The silences that Envoy has routes for."""

from extproc.config.model import Aim, Config, Model, Provider
from extproc.config.pool import ProviderKey
from extproc.config.retries import Retries
from extproc.config.timeouts import Patience, Timeouts
from extproc.control.addresses import Addresses
from extproc.envoy import names
from extproc.envoy.silences import silences
from extproc.retrying import USUAL

KEYS = tuple(ProviderKey(key=f"sk-{name}", name=name) for name in "abcde")


def config(url: str = "http://it/v1", keys: tuple[ProviderKey, ...] = (), retries: Retries = USUAL) -> Config:
    provider = Provider(dialect="openai", base_url=url, keys=keys, timeouts=Timeouts(first_byte=10, idle=20))
    models = (Model(name="m", targets=(Aim(to="it/m", timeouts=Patience(idle=50)),)),)
    return Config(providers={"it": provider}, models=models, retries=retries)


def wholes(config: Config) -> list[int]:
    return [round(one.several - names.BACKSTOP) for one in silences(config).values()]


def test_the_clock_of_the_whole_leaves_each_key_its_attempt() -> None:
    assert wholes(config()) == [21, 51]
    assert wholes(config(keys=KEYS)) == [31, 51]
    assert wholes(config(keys=KEYS, retries=Retries(again=1, pause=1, longest=1))) == [67, 67]


def test_envoys_clocks_run_behind_the_gates() -> None:
    assert [(one.attempt - names.BACKSTOP, one.one > one.attempt) for one in silences(config()).values()] == [(20, True), (50, True)]


def test_a_provider_that_has_moved_keeps_what_its_targets_say() -> None:
    """Envoy knows it by another name then."""
    addresses, old, new = Addresses(), config(), config("http://there/v1")
    assert addresses.aliases(old) == {}
    assert silences(addresses.seen_by_envoy(old, new)) == silences(addresses.seen_by_envoy(new)) == silences(new)
