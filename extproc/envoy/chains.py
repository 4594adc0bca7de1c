"""Several targets on an Envoy before 1.40, which cannot be told by a request which clusters to try: the orders are compiled in.

A chain is one cluster with a provider in each of its priorities. A retry goes to a priority that has not been tried
(`previous_priorities`). For each model there is a chain that begins with each of its targets, and goes on with the others as they are
written. So a request may begin wherever its strategy says; what it may not do is to leave a target out, or to try the rest in another
order: such a request has the first of its targets alone.
"""

from collections.abc import Iterator

from extproc.config.model import Config, Model, aim
from extproc.config.urls import is_behind_proxy

FULL = (1, 40)
"""The version from which on a request can say itself which clusters are tried."""


def version(config: Config) -> tuple[int, int]:
    """Of the Envoy that is to be told."""
    major, minor = config.envoy_version.split(".")
    return int(major), int(minor)


def compiled_in(config: Config) -> bool:
    """Whether orders have to be compiled in."""
    return version(config) < FULL


def orders(config: Config) -> dict[tuple[str, ...], None]:
    """The providers of each chain, in their order; none where Envoy needs no chains."""
    if not compiled_in(config):
        return {}
    return dict.fromkeys(order for model in config.models for order in _orders(model) if may_be_one(config, order))


def may_be_one(config: Config, order: tuple[str, ...]) -> bool:
    """Whether these providers can stand in one cluster. What signs requests, or sets a key that only Envoy reads, belongs to a whole
    cluster, and the demo provider is reached by a socket, as one behind a proxy is by a listener, which no cluster with names may hold.
    """
    providers = [config.providers[name] for name in order]
    return all(
        provider.aws is None
        and provider.envoy_key_file is None
        and provider.base_url != "demo:"
        and not is_behind_proxy(provider, config.egress)
        for provider in providers
    )


def in_order(model: Model) -> tuple[str, ...]:
    """The providers of a model's targets, tier after tier."""
    return tuple(one.provider for one in sorted(map(aim, model.targets), key=lambda one: one.tier))


def _orders(model: Model) -> Iterator[tuple[str, ...]]:
    names = in_order(model)
    if len(names) > 1:
        for at, name in enumerate(names):
            yield (name, *names[:at], *names[at + 1 :])
