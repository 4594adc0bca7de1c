"""The `strategy` of a model: which strategies there are, and what each may be told.

A strategy is a name, or one name with its settings. They are read as what the strategy declares, and what came of that is what the model
has, so that whoever makes the strategy of it (`routes.py`) finds nothing that was not found here.
"""

from collections import Counter
from typing import Any

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.lookup import STRATEGIES
from extproc.config.model import Aim, Config, Model, aim
from extproc.config.nearest import quoted
from extproc.config.problem import Problems
from extproc.config.retries import MOST
from extproc.config.scalars import is_nothing
from extproc.config.targets import Error
from extproc.config.walk import Place, Walker, child, sound
from extproc.crossing import CREDENTIALS
from extproc.strategies.sticky import Sticky

_MIRRORED = ("mirror", "mirrored", "mirroring", "shadow")
"""What others call a strategy."""
_TEXT = inspect.type_info(str)

Chosen = dict[int, str | dict[str, Any]]
"""Each strategy's name, with its settings whole and as builtins where it has any, by the place of its model in the list."""


def read_strategies(root: Mapping, walker: Walker, problems: Problems) -> tuple[Mapping, Chosen]:
    """The configuration without its models' strategies, and these. What is wrong with them is told in `problems`."""
    models = root.get("models")
    if not isinstance(models, Sequence):
        return root, {}
    items, chosen = list(models.items), Chosen()
    for at, model in enumerate(models.items):
        said = model.get("strategy") if isinstance(model, Mapping) else None
        # The types say what is wrong with a list, and with nothing.
        if said is None or isinstance(said, Sequence) or is_nothing(said) or not isinstance(model, Mapping):
            continue
        items[at] = model.without("strategy")
        read = _read(said, f"$.models[{at}].strategy", walker, problems)
        if read is not None:
            chosen[at] = read
    whole = replace(models, items=tuple(items))
    return replace(root, entries=tuple(Entry(one.key, whole) if one.key.text == "models" else one for one in root.entries)), chosen


def with_strategies(config: Config, chosen: Chosen) -> Config:
    """The configuration whose models have the strategies that were read."""
    models = (replace(one, strategy=chosen[at]) if at in chosen and isinstance(one, Model) else one for at, one in enumerate(config.models))
    return replace(config, models=tuple(models))


def check_choices(config: Config, warning: Error) -> None:
    """Tells of what is said of models' targets and changes nothing, or not what is meant. The configuration has no errors."""
    for at, model in enumerate(config.models):
        path = f"$.models[{at}]"
        name, settings = model.ordering
        for field, targets in (("targets", model.targets), ("otherwise", model.otherwise)):
            aims = list(map(aim, targets))
            _check_weights(aims, name, f"{path}.{field}", warning)
            _check_headers(aims, f"{path}.{field}", warning)
            _check_conditions(aims, f"{path}.{field}", warning)
        _check_alone(model, name, f"{path}.strategy", warning)
        _check_again(model, config, path, warning)
        _check_mirror(config, model, f"{path}.mirror", warning)
        if name == "sticky":
            _check_sticky(settings, child(f"{path}.strategy", name), warning)


def _check_weights(aims: list[Aim], strategy: str, path: str, warning: Error) -> None:
    heeded = STRATEGIES.find(strategy).heeds
    heavy = [which for which, one in enumerate(aims) if heeded and one.weight not in heeded]
    if heavy:
        tip = "`weighted`, `sticky`, `least_busy` and `cheapest` do"
        warning(f"{path}[{heavy[0]}].weight", f"the strategy `{strategy}` does not heed weights; {tip}")
        return
    for tier in sorted({one.tier for one in aims}):
        weights = [one.weight for one in aims if one.tier == tier]
        if len(weights) > 1 and not any(weights):
            first = next(which for which, one in enumerate(aims) if one.tier == tier)
            warning(f"{path}[{first}].weight", f"all targets of tier {tier} have the weight 0, so none steps in for another")


def _check_headers(aims: list[Aim], path: str, warning: Error) -> None:
    for which, one in enumerate(aims):
        for name in one.when.headers:
            if name in CREDENTIALS:
                message = f"`{name}` carries callers' keys, which do not belong into conditions; `tenants` says whose they are"
                warning(child(f"{path}[{which}].when.headers", name), message)


def _check_conditions(aims: list[Aim], path: str, warning: Error) -> None:
    for which, one in enumerate(aims):
        when, at_most = one.when, one.when.input.at_most
        if when.needs and set(when.needs) <= set(one.lacks):
            warning(f"{path}[{which}].lacks", "the target is for no request at all: it lacks whatever its `needs` name")
        if at_most is not None and when.input.at_least > at_most:
            warning(f"{path}[{which}].when.input.at_least", f"the target is for no request at all: `at_most` is {at_most}")
    placed = [bool(one.when.regions) for one in aims]
    if any(placed) and not all(placed):
        message = "other targets of this model have `regions`: requests of any region may come to this one, which has none"
        warning(f"{path}[{placed.index(False)}]", message)


def _check_alone(model: Model, strategy: str, path: str, warning: Error) -> None:
    shared = any(count > 1 for targets in (model.targets, model.otherwise) for count in Counter(aim(one).tier for one in targets).values())
    if strategy != "ordered" and not shared:
        warning(path, f"the strategy `{strategy}` has nothing to choose from: no tier of this model has two targets")


def _check_again(model: Model, config: Config, path: str, warning: Error) -> None:
    retries, most = model.retries or config.retries, max(len(model.targets), len(model.otherwise))
    if most and (again := retries.again_among(most)) != retries.again:
        message = (
            f"a request has {MOST} attempts: where all {most} targets may answer it, each is asked again {again} times, not {retries.again}"
        )
        warning(f"{path}.retries.again" if model.retries else f"{path}.targets", message)


def _check_mirror(config: Config, model: Model, path: str, warning: Error) -> None:
    mirror = model.mirror
    if mirror is None:
        return
    if not mirror.share:
        warning(f"{path}.share", "nothing is mirrored: the share is 0")
    if config.ext_proc is not None:
        warning(path, "nothing is mirrored: Envoy runs on another host (`ext_proc`), and mirrors need a gateway that runs its own")
    if mirror.to in {aim(target).to for target in model.targets}:
        warning(f"{path}.to", f"`{mirror.to}` is a target of this model, too: what it answers itself it is asked twice")


def _check_sticky(settings: dict[str, Any], path: str, warning: Error) -> None:
    if settings["by"] != "header" and settings["header"] != Sticky().header:
        warning(f"{path}.header", "`header` counts with `by: header` alone")
    if settings["by"] != "prefix" and settings["length"] != Sticky().length:
        warning(f"{path}.length", "`length` counts with `by: prefix` alone")
    if settings["by"] == "header" and settings["header"] in CREDENTIALS:
        warning(
            f"{path}.header", f"`{settings['header']}` carries callers' keys; `by: caller` does what is meant, whichever way they are sent"
        )


def _read(said: Scalar | Mapping, path: str, walker: Walker, problems: Problems) -> str | dict[str, Any] | None:
    name, settings = _named(said, path, walker, problems)
    if not name:
        return None
    try:
        type_ = STRATEGIES.find(name)
    except LookupError as error:
        # What a reference gives may be a secret, put here by mistake.
        message = f"this refers to no strategy; they are: {', '.join(STRATEGIES.names())}" if walker.places[path].referred else str(error)
        if name in _MIRRORED and not walker.places[path].referred:
            message = f"there is no strategy {quoted(name)}: copies of requests are sent by a model's `mirror`, whatever its strategy"
        problems.error(path, walker.places[path].mark, message)
        return None
    before = problems.errors
    read = walker.struct(settings, type_, child(path, name))
    if problems.errors != before:
        return None
    whole = msgspec.to_builtins(read)
    return {name: whole} if whole else name


def _named(said: Scalar | Mapping, path: str, walker: Walker, problems: Problems) -> tuple[str, Node]:
    """A strategy's name and its settings; no name where something is wrong with that."""
    empty = Mapping(said.mark, (), 1)
    if isinstance(said, Scalar):
        name = walker.walk(said, _TEXT, path)
        return (name if sound(name) else ""), empty
    for fault in said.faults:
        problems.error(path, fault.mark, fault.message)
    if len(said.entries) != 1:
        problems.error(path, said.mark, f"expected one strategy's name and its settings, got {len(said.entries)} keys")
        return "", empty
    (entry,) = said.entries
    walker.places[path] = Place(entry.key.mark)
    return entry.key.text, entry.value
