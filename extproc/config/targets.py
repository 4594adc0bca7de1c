"""Models and their targets: whether they name what exists, and what is left of them where optional providers are absent."""

import re
from collections.abc import Callable, Collection
from datetime import date
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from extproc.config.mirror import Mirror
from extproc.config.model import Aim, Config, LongPrompt, Model, Price, aim, split_target
from extproc.config.nearest import hint, quoted
from extproc.config.walk import sound

Error = Callable[[str, str], None]
"""Takes a path and a message."""

# Letters, digits and the signs that providers use in names; whatever else a pattern language knows is not meant to be one here.
_NAME = re.compile(r"[^\s?\[\]^$|(){}\\\"'`<>,;#\x00-\x1f\x7f]+")
_MAX_NAME = 256


_MILLION = "per million tokens"
AMOUNTS = {
    **dict.fromkeys(
        ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio", "input_image",
         "output_image"), _MILLION,
    ),
    "request": "each", "image": "each", "second": "each", "character": "each", "search": "each",
}  # fmt: skip
"""Fields of a price that are amounts, and what of."""
_TARGETS = ("targets", "otherwise", "on_context_length", "on_content_policy")
"""Fields of a model that name targets."""


class Absent(Struct, frozen=True):
    """A provider or model that the configuration has, but that is left out for now."""

    kind: Literal["provider", "model"]
    name: str
    reason: str


def check_models(config: Config, providers: Collection[str], error: Error) -> None:
    """Finds what is wrong with models and prices. `providers` are the names of all, absent ones included."""
    seen: dict[str, str] = {}
    for at, model in enumerate(config.models):
        if not isinstance(model, Model):
            continue
        path = f"$.models[{at}]"
        if isinstance(model.name, str):
            _check_name(model.name, f"{path}.name", seen, error)
        for which, alias in enumerate(model.aliases):
            if isinstance(alias, str):
                _check_alias(alias, f"{path}.aliases[{which}]", seen, error)
        for field in _TARGETS:
            targets = getattr(model, field)
            for which, target in enumerate(targets if sound(targets) else ()):
                to = target.to if isinstance(target, Aim) else target
                if isinstance(to, str):
                    _check_target(to, f"{path}.{field}[{which}]" + (".to" if isinstance(target, Aim) else ""), providers, error)
        if isinstance(model.mirror, Mirror) and isinstance(model.mirror.to, str):
            _check_target(model.mirror.to, f"{path}.mirror.to", providers, error)


def check_prices(config: Config, providers: Collection[str], error: Error) -> None:
    """Finds what is wrong with prices."""
    seen: dict[str, str] = {}
    for at, price in enumerate(config.prices):
        if not isinstance(price, Price):
            continue
        path = f"$.prices[{at}]"
        if isinstance(price.model, str):
            _check_priced(price, path, seen, providers, error)
        for at_least, long in enumerate(price.above if sound(price.above) else ()):
            if isinstance(long, LongPrompt):
                _check_amounts(long, f"{path}.above[{at_least}]", error)
                _check_long(price, at_least, f"{path}.above[{at_least}]", error)
        _check_amounts(price, path, error)
        if isinstance(price.since, str) and not _is_day(price.since):
            error(f"{path}.since", f"{quoted(price.since)} is no day")
        if sound(price.tier) and price.tier is not None and not any(one.model == price.model and one.tier is None for one in config.prices):
            error(f"{path}.tier", f"{quoted(price.model)} needs a price without `tier` as well, for all other requests")


def _check_long(price: Price, at: int, path: str, error: Error) -> None:
    """`at`: which of its prices for long prompts."""
    long, before = price.above[at], price.above[at - 1].tokens if at else 0
    if sound(before) and sound(long.tokens) and long.tokens <= before:
        error(f"{path}.tokens", "each has to be for more tokens than the one before")
    for field in AMOUNTS:
        if getattr(long, field, None) is not None and getattr(price, field) is None:
            error(f"{path}.{field}", f"the price has no `{field}` for other prompts, and so needs one")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_amounts(price: Price | LongPrompt, path: str, error: Error) -> None:
    amounts = [field for field in AMOUNTS if getattr(price, field, None) is not None]
    if not amounts:
        error(path, "it names no price: `input` and `output`, above all")
    for field in amounts:
        amount = getattr(price, field)
        if isinstance(amount, str) and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", amount):
            error(f"{path}.{field}", f'a price is dollars {AMOUNTS[field]} as a decimal in quotes, such as "2.50", and never negative')


def present(config: Config, absent: list[Absent]) -> tuple[Config, list[Absent]]:
    """The configuration without what needs an absent provider, and the models that this leaves out."""
    models: list[Model] = []
    left_out: list[Absent] = []
    for model in config.models:
        targets = _present(model.targets, config) or _present(model.otherwise, config)
        if targets:
            named = {field: _present(getattr(model, field), config) for field in ("on_context_length", "on_content_policy")}
            mirror = model.mirror if model.mirror is not None and split_target(model.mirror.to)[0] in config.providers else None
            models.append(replace(model, targets=targets, otherwise=(), mirror=mirror, **named))
            continue
        providers = {aim(target).provider for target in (*model.targets, *model.otherwise)}
        reasons = [provider.reason for provider in absent if provider.name in providers]
        left_out.append(Absent("model", model.name, "no provider: " + "; ".join(reasons)))
    prices = tuple(price for price in config.prices if split_target(price.model)[0] in config.providers)
    return replace(config, models=tuple(models), prices=prices), left_out


def _check_priced(price: Price, place: str, seen: dict[str, str], providers: Collection[str], error: Error) -> None:
    model, path = price.model, f"{place}.model"
    provider, name = split_target(model)
    if not name:
        error(path, "a price is for `provider/model`, and the model is missing")
    elif provider not in providers:
        error(path, f"there is no provider {quoted(provider)}" + hint(provider, providers, "there are"))
    what = f"{model} {price.since} {price.tier}"
    if what in seen:
        error(path, f"{seen[what]} is for the same model")
    seen.setdefault(what, path)


def _present(targets: tuple[str | Aim, ...], config: Config) -> tuple[str | Aim, ...]:
    return tuple(target for target in targets if aim(target).provider in config.providers)


def _check_name(name: str, path: str, seen: dict[str, str], error: Error) -> None:
    if "**" in name:
        error(path, "one `*` is enough: it stands for any characters")
    elif not _NAME.fullmatch(name):
        error(
            path, f"{quoted(name)} is not the name of a model: no spaces, and no sign is special but `*`, which stands for any characters"
        )
    _check_unique(name, path, seen, error)


def _check_alias(alias: str, path: str, seen: dict[str, str], error: Error) -> None:
    if "*" in alias:
        error(path, f"an alias is an exact name; give the pattern {quoted(alias)} an entry of its own in `models`")
    elif not _NAME.fullmatch(alias) or len(alias) > _MAX_NAME:
        error(path, f"{quoted(alias)} is not the name of a model: no spaces or brackets, at most {_MAX_NAME} characters")
    _check_unique(alias, path, seen, error)


def _check_unique(name: str, path: str, seen: dict[str, str], error: Error) -> None:
    if name in seen:
        error(path, f"the name {quoted(name)} is taken already by {seen[name]}")
    seen.setdefault(name, path)


def _check_target(target: str, path: str, providers: Collection[str], error: Error) -> None:
    provider, slash, model = target.partition("/")
    if provider not in providers:
        error(path, f"there is no provider {quoted(provider)}" + hint(provider, providers, "there are"))
    elif slash and not model:
        error(path, f"after `{provider}/` comes the name of a model; `{provider}` alone keeps the name that was asked for")
    elif "*" in model:
        error(path, f"a target is one model; `{provider}` alone keeps the name that was asked for")
    elif model and not _NAME.fullmatch(model):
        error(path, f"{quoted(model)} is not the name of a model")
