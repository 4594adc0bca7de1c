"""What is said of attempts, and of how long each may take, and changes nothing, or not what is meant. The configuration has no errors."""

from extproc.config.model import Aim, Config, Model, aim
from extproc.config.retries import Retries
from extproc.config.targets import Error
from extproc.config.timeouts import joined, patient

_WITH_AGAIN = ("pause", "longest", "budget")
"""Fields of `Retries` that are about asking a target again."""
_PATIENT = ("first_byte", "idle")


def check_attempts(config: Config, warning: Error) -> None:
    """Tells of pauses that nobody makes, refusals that lead nowhere, and times that do not count."""
    _check_retries(config.retries, "$.retries", warning)
    for at, model in enumerate(config.models):
        path = f"$.models[{at}]"
        if model.retries is not None:
            _check_retries(model.retries, f"{path}.retries", warning)
        _check_budget(model, path, warning)
        for field in ("targets", "otherwise"):
            _check_times(model, list(map(aim, getattr(model, field))), config, f"{path}.{field}", warning)
        _check_refusals(model, path, warning)


def _check_retries(retries: Retries, path: str, warning: Error) -> None:
    usual = Retries()
    if not retries.again:
        for name in _WITH_AGAIN:
            if getattr(retries, name) != getattr(usual, name):
                warning(f"{path}.{name}", f"`{name}` counts with `again` alone")
    elif retries.pause > retries.longest:
        warning(f"{path}.pause", f"no pause is longer than `longest`, which is {retries.longest:g} seconds")
    if not (retries.on or retries.server_errors or retries.no_answer):
        warning(path, "no failure is worth another attempt: each request has one, but for targets that are named for refusals")


def _check_budget(model: Model, path: str, warning: Error) -> None:
    alone = len(model.targets) == 1 and not (model.on_context_length or model.on_content_policy)
    if alone and model.retries is not None and model.retries.fallback_budget is not None:
        warning(f"{path}.retries.fallback_budget", "this has no effect: there is one target, and no other one to fall back to")


def _check_times(model: Model, aims: list[Aim], config: Config, path: str, warning: Error) -> None:
    """Envoy is told one time for all targets of a request (`ways.py`). What a provider says counts for other models, so that is told of
    what a target says alone.
    """
    if not all(one.provider in config.providers for one in aims):
        return  # which of them there will be is not known
    times = [patient(config.providers[one.provider].timeouts, joined(model.timeouts, one.timeouts)) for one in aims]
    unbounded = any(one.total is None for one in times)
    for which, one in enumerate(aims):
        for name in _PATIENT:
            said, longest = getattr(one.timeouts, name), max(getattr(other, name) for other in times)
            if said is not None and said < longest:
                message = f"this is not kept: of a model's targets the most patient counts, and another one has {longest:g} seconds"
                warning(f"{path}[{which}].timeouts.{name}", message)
        if one.timeouts.total is not None and unbounded:
            message = "this is not kept: the whole is bounded where all targets of a model have a `total`, and another one has none"
            warning(f"{path}[{which}].timeouts.total", message)


def _check_refusals(model: Model, path: str, warning: Error) -> None:
    first = aim(model.targets[0])
    alone = len(model.targets) == 1
    if not alone and (model.ordering[0] != "ordered" or any(aim(one).tier < first.tier for one in model.targets)):
        return
    for field in ("on_context_length", "on_content_policy"):
        for which, name in enumerate(getattr(model, field)):
            if name == first.to:
                message = f"{name} is asked {'alone' if alone else 'first'}, and no target is asked again for what it has refused"
                warning(f"{path}.{field}[{which}]", message)
