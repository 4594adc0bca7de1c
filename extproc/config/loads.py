"""What is said of load, and changes nothing, or not what is meant. The configuration has no errors."""

from extproc.config.concurrency import Concurrency, Queue, concurrency
from extproc.config.filters import Setting
from extproc.config.model import Config, aim
from extproc.config.targets import Error

_PATIENCE = 28.0
"""Seconds that all that waits in the gate may take together: Envoy waits for it for 30."""


def check_loads(config: Config, filters: list[Setting], warning: Error) -> None:
    """Tells of bounds that contradict each other, queues in front of nothing, and waits that are longer than Envoy's."""
    unbounded = {name for name, provider in config.providers.items() if provider.concurrency is None}
    first: dict[str, tuple[str, Concurrency]] = {}
    cached = max((wait for one in filters if isinstance(wait := getattr(one.settings, "wait", None), int | float)), default=0.0)
    for at, model in enumerate(config.models):
        path = f"$.models[{at}]"
        aims = list(map(aim, model.targets))
        for which, one in enumerate(aims):
            limit = concurrency(one.concurrency)
            if limit is None:
                continue
            where, other = first.setdefault(one.to, (f"{path}.targets[{which}]", limit))
            if other != limit:
                warning(f"{path}.targets[{which}].concurrency", f"{where} says another bound for this target; the last one counts")
        if model.queue is None:
            continue
        if all(one.concurrency is None and one.provider in unbounded for one in aims):
            warning(f"{path}.queue", "nobody ever waits here: neither a target of this model nor its provider has `concurrency`")
        if model.queue.wait + cached > _PATIENCE:
            warning(f"{path}.queue.wait", "together with the cache's `wait` this is longer than Envoy waits for the gate (30 s)")
    for setting in filters:
        if setting.name == "load":
            _check_filter(setting, warning)


def _check_filter(setting: Setting, warning: Error) -> None:
    settings = setting.settings
    if getattr(settings, "concurrency", None) is None and not getattr(settings, "tenants", None):
        what = "`queue` has nobody to wait" if isinstance(getattr(settings, "queue", None), Queue) else "this filter does nothing"
        warning(setting.path, f"{what}: neither `concurrency` nor `tenants` bounds anybody")
