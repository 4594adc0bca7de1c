"""What no request ever reaches: targets that are never used, rules for models that there are not, providers that nobody asks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from extproc.config.filters import Setting
from extproc.config.model import Aim, Config, Model, Provider, aim
from extproc.config.nearest import hint, quoted
from extproc.config.targets import Error
from extproc.config.walk import child
from extproc.config.when import When
from extproc.globs import may_meet


def check_reached(config: Config, providers: Mapping[str, Provider], filters: Sequence[Setting], warning: Error) -> None:
    """Tells of them."""
    for at, model in enumerate(config.models):
        _check_model(model, f"$.models[{at}]", providers, warning)
    _check_patterns(config, warning)
    _check_providers(config, providers, warning)
    for setting in filters:
        _check_rules(setting, config, providers, warning)


def _check_model(model: Model, path: str, providers: Mapping[str, Provider], warning: Error) -> None:
    if model.otherwise and not any(one.optional for one in _of(model.targets, providers)):
        warning(
            f"{path}.otherwise", "these are never asked: none of the `targets` has a provider that is `optional`, so those are always there"
        )
    aims = list(map(aim, model.targets))
    for which, one in enumerate(aims):
        for before, other in enumerate(aims[:which]):
            if one.to == other.to and _covers(other, one):
                message = f"whoever comes here has asked it before, at `targets[{before}]`; to ask it again, say `retries: {{again: 1}}`"
                warning(f"{path}.targets[{which}]", message)
                break


def _of(targets: Iterable[str | Aim], providers: Mapping[str, Provider]) -> Iterator[Provider]:
    return (providers[name] for target in targets if (name := aim(target).provider) in providers)


def _covers(one: Aim, other: Aim) -> bool:
    """Whether `one` is for all requests that `other` is for."""
    return (one.when in (When(), other.when)) and set(one.lacks) <= set(other.lacks)


def _check_patterns(config: Config, warning: Error) -> None:
    """Of two patterns that one name fits the longer one counts, and of two as long the one that is found first, which nobody remembers."""
    patterns = [(at, model.name) for at, model in enumerate(config.models) if "*" in model.name]
    for place, (at, name) in enumerate(patterns):
        for before, other in patterns[:place]:
            if len(name) == len(other) and may_meet(name, other):
                message = (
                    f"names that fit this may fit {quoted(other)} as well, `models[{before}]`, which is as long; make one of them longer"
                )
                warning(f"$.models[{at}].name", message)
                break


def _check_providers(config: Config, providers: Mapping[str, Provider], warning: Error) -> None:
    named = {one.partition("/")[0] for model in config.models for one in _named(model)}
    first: dict[str, str] = {}
    for name, provider in providers.items():
        for dialect in (provider.dialect, *provider.also):
            first.setdefault(dialect, name)
    for name in providers:
        if name not in named and name not in first.values():
            message = "no model has a target here, so it is asked by those alone who name it (`x-headgate-provider`, /providers/NAME/...)"
            warning(child("$.providers", name), message)


def _named(model: Model) -> Iterator[str]:
    yield from (aim(target).to for target in (*model.targets, *model.otherwise))
    yield from (*model.on_context_length, *model.on_content_policy)
    if model.mirror is not None:
        yield model.mirror.to


def _check_rules(setting: Setting, config: Config, providers: Mapping[str, Provider], warning: Error) -> None:
    """Rules of `headers` and `limits` that name models or providers."""
    models = [model.name for model in config.models]
    for path, globs, names, what in _rules(setting, models, [*models, *(a for one in config.models for a in one.aliases)], list(providers)):
        for at, glob in enumerate(globs):
            if not any(may_meet(glob, name) for name in names):
                near = hint(glob, names, "there are")
                warning(f"{path}[{at}]", f"this is for nothing: no {what} here fits {quoted(glob)}{near}")


def _rules(
    setting: Setting, models: list[str], called: list[str], providers: list[str]
) -> Iterator[tuple[str, tuple[str, ...], list[str], str]]:
    """Of each pattern list: its path, itself, the names that it may fit, and what these are."""
    settings: Any = setting.settings
    rules = getattr(settings, "rules", ())
    for at, rule in enumerate(rules):
        path = f"{setting.path}.rules[{at}]"
        yield f"{path}.models", getattr(rule, "models", ()), models, "model"
        yield from _only(path, rule, called, providers)
    for name, plan in getattr(settings, "plans", {}).items():
        yield from _only(child(f"{setting.path}.plans", name), plan, called, providers)
        for at, rule in enumerate(plan.rules):
            yield from _only(f"{child(f'{setting.path}.plans', name)}.rules[{at}]", rule, called, providers)


def _only(path: str, rule: Any, models: list[str], providers: list[str]) -> Iterator[tuple[str, tuple[str, ...], list[str], str]]:
    only = getattr(rule, "only", {})
    yield f"{path}.only.model", only.get("model", ()), models, "model"
    yield f"{path}.only.provider", only.get("provider", ()), providers, "provider"
