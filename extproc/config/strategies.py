"""The `strategy` of a model: which strategies there are, and what each may be told.

A strategy is a name, or one name with its settings. What is wrong with them is found here, with its place; what is right is made of
them where the routes are compiled (`routes.py`).
"""

from extproc.config.document import Entry, Mapping, Node, Scalar, Sequence
from extproc.config.lookup import STRATEGIES
from extproc.config.problem import Problems
from extproc.config.walk import Walker, child


def check_strategies(models: Node | None, walker: Walker, problems: Problems) -> None:
    """Finds what is wrong with the strategies of all models."""
    for at, model in enumerate(models.items if isinstance(models, Sequence) else ()):
        said = model.get("strategy") if isinstance(model, Mapping) else None
        if said is not None:
            _check(said, f"$.models[{at}].strategy", walker, problems)


def _check(said: Node, path: str, walker: Walker, problems: Problems) -> None:
    if isinstance(said, Scalar):
        entry = Entry(said, Mapping(said.mark, (), 1))
    elif isinstance(said, Mapping) and len(said.entries) == 1:
        (entry,) = said.entries
    elif isinstance(said, Mapping):
        problems.error(path, said.mark, f"expected one strategy's name and its settings, got {len(said.entries)} keys")
        return
    else:
        # The types say what is wrong with anything else.
        return
    below = child(path, entry.key.text)
    try:
        walker.struct(entry.value, STRATEGIES.find(entry.key.text), below)
    except LookupError as error:
        problems.error(path, entry.key.mark, str(error))
