"""The `strategy` of a model: which strategies there are, and what each may be told.

A strategy is a name, or one name with its settings. They are read as what the strategy declares, and what came of that is what the model
has, so that whoever makes the strategy of it (`routes.py`) finds nothing that was not found here.
"""

from typing import Any

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.lookup import STRATEGIES
from extproc.config.model import Config, Model
from extproc.config.problem import Problems
from extproc.config.scalars import is_nothing
from extproc.config.walk import Place, Walker, child, sound

_TEXT = inspect.type_info(str)

Chosen = dict[int, dict[str, Any]]
"""Each strategy's name and its settings, whole and as builtins, by the place of its model in the list."""


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


def _read(said: Scalar | Mapping, path: str, walker: Walker, problems: Problems) -> dict[str, Any] | None:
    name, settings = _named(said, path, walker, problems)
    if not name:
        return None
    try:
        type_ = STRATEGIES.find(name)
    except LookupError as error:
        # What a reference gives may be a secret, put here by mistake.
        message = f"this refers to no strategy; they are: {', '.join(STRATEGIES.names())}" if walker.places[path].referred else str(error)
        problems.error(path, walker.places[path].mark, message)
        return None
    before = problems.errors
    read = walker.struct(settings, type_, child(path, name))
    return {name: msgspec.to_builtins(read)} if problems.errors == before else None


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
