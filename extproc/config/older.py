"""What an Envoy before 1.40 cannot do, told where the configuration wants it (`headgate check`). docs/envoy.md, "Older Envoys"."""

from collections.abc import Callable

from extproc.config.model import Aim, Config, Model, aim
from extproc.config.retries import Retries
from extproc.envoy.chains import compiled_in, in_order, may_be_one

Warn = Callable[[str, str], None]
"""Takes a path and a message."""
_BY_FIRST = "the strategy says who is asked first, and the others follow as they are written"

_LEFT = 2
"""Of so many targets one alone is left anyhow, where another one is passed over."""


def check_older(config: Config, warning: Warn) -> None:
    """Tells of what does not work as it is said. The configuration has no errors."""
    if not compiled_in(config):
        return
    old = f"on Envoy {config.envoy_version}"
    for at, model in enumerate(config.models):
        path = f"$.models[{at}]"
        if (model.retries or config.retries).again or model.on_context_length or model.on_content_policy:
            warning(
                path, f"{old} each target is asked once, and none in another's place: `again`, `on_context_length`, `on_content_policy`"
            )
        if model.retries is not None:
            warning(f"{path}.retries", f"{old} Envoy decides alone what is worth another target: `retries` has no effect")
        for which, one in enumerate(map(aim, model.targets)):
            if len(model.targets) == 1 and one.provider in config.providers and config.providers[one.provider].keys:
                warning(f"{path}.targets[{which}]", f"{old} a request has one of the provider's keys, and none is tried after that")
        if len(model.targets) > 1:
            _check(model, config, path, lambda path, message: warning(path, f"{old} {message}"))
    if config.retries != Retries() and not any(model.retries for model in config.models):
        warning("$.retries", f"{old} Envoy decides alone what is worth another target: `retries` has no effect")


def _check(model: Model, config: Config, path: str, warning: Warn) -> None:
    aims = list(map(aim, model.targets))
    if not may_be_one(config, in_order(model)):
        warning(
            f"{path}.targets",
            "only the first of these is asked: what Envoy signs or gives a key, and the demo provider, stand alone",
        )
        return
    if len(aims) > _LEFT:
        if model.ordering[0] != "ordered":
            warning(f"{path}.strategy", _BY_FIRST)
        if causes := _passing_over(aims, config):
            warning(f"{path}.targets", f"a request that passes one of these over ({', '.join(causes)}) asks one of the others alone")
    if any((one.when, one.lacks) != (aims[0].when, aims[0].lacks) for one in aims):
        warning(f"{path}.targets", "a request that some of these are not for, or that fail their health checks, has one target alone")


def _passing_over(aims: list[Aim], config: Config) -> list[str]:
    """The fields for whose sake a request may leave one of these targets out."""
    providers = [config.providers[one.provider] for one in aims if one.provider in config.providers]
    fields = {
        "breaker": any((one.breaker or config.breaker) != "off" for one in providers),
        "health": any(one.health is not None for one in providers),
        "concurrency": any(one.concurrency is not None for one in aims) or any(one.concurrency is not None for one in providers),
    }
    return [f"`{name}`" for name, there in fields.items() if there]
