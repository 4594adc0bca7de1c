"""Names of providers' clusters: one name never means two addresses, or a request that began with an old configuration would carry one
address's credential to another while a reload is under way. Nor does it mean one that sets a key and one that does not (`envoy_key_file`),
or such a request would carry none.
"""

import zlib
from collections.abc import Mapping

from msgspec.structs import replace

from extproc.config.model import Config, Model, Provider, aim
from extproc.envoy.names import BEHIND

SEPARATOR = BEHIND
"""Between a provider's name, which cannot hold it, and what tells its later addresses from its first."""


class Addresses:
    """What each provider's address was when it was first seen; an address that came later makes the name another one."""

    def __init__(self, first: Mapping[str, tuple[str | None, ...]] | None = None) -> None:
        """`first`: what another one has seen."""
        self.first: dict[str, tuple[str | None, ...]] = dict(first or {})
        """By provider: base URL, `tls_server_name`, and whether Envoy alone has its key."""

    def aliases(self, config: Config) -> Mapping[str, str]:
        """By provider: its name in Envoy, where that is not its own."""
        found = {name: self._alias(name, provider) for name, provider in config.providers.items()}
        return {name: alias for name, alias in found.items() if alias != name}

    def seen_by_envoy(self, *configs: Config) -> Config:
        """The last of `configs` as Envoy is to have it, and the providers of all of them."""
        providers = {self._alias(name, provider): provider for config in configs for name, provider in config.providers.items()}
        models = tuple(self._renamed(config, model) for config in configs for model in config.models)
        return replace(configs[-1], providers=providers, models=models)

    def _renamed(self, config: Config, model: Model) -> Model:
        """A model with its providers' names in Envoy."""
        aims = (aim(target) for target in model.targets)
        named = ((one, self._alias(one.provider, config.providers[one.provider])) for one in aims)
        return replace(model, targets=tuple(replace(one, to=alias + one.to.removeprefix(one.provider)) for one, alias in named))

    def _alias(self, name: str, provider: Provider) -> str:
        sealed = ("sealed",) if provider.envoy_key_file is not None else ()
        address = (provider.base_url, provider.tls_server_name, *sealed)
        if self.first.setdefault(name, address) == address:
            return name
        return f"{name}{SEPARATOR}{zlib.crc32(repr(address).encode()):08x}"
