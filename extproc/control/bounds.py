"""What an operator should know of limits that do not do what they seem to: budgets without prices, limits that nobody counts."""

from collections.abc import Iterator
from pathlib import Path

from extproc.config.declared import rows
from extproc.config.load import Loaded
from extproc.control import counted
from extproc.control.identities import Identities
from extproc.control.pricing import quotes, targets
from extproc.identity.settings import NOTHING


def uncounted(loaded: Loaded) -> Iterator[str]:
    """A line for each target whose price nobody knows, where money is counted."""
    if loaded.config is None or not any(rule.unit == "cost" for rule in counted.rules(loaded)):
        return
    known = quotes(loaded.config, every=True)
    for path, name in targets(loaded.config):
        # What a pattern stands for is known when it is asked for.
        if name not in known and "*" not in name:
            yield f"{path}: the price of `{name}` is not known, so budgets do not count what it costs; `prices` can say it"


def unseen(loaded: Loaded, state: Path) -> Iterator[str]:
    """Lines where there are limits, and no filter counts them, or nobody tells it what was used."""
    names = {name for entry in loaded.config.filters for name in entry} if loaded.config is not None else set()
    if "limits" in names and "meter" not in names:
        yield "$.filters: what requests have used is never counted, since limits know it from the ledger; add `- meter:`"
    if "limits" not in names and (_declared(loaded) or _stored(loaded, state)):
        yield "$.filters: there are limits of organizations, teams, users or plans, and nobody counts them; add `- limits:`"


def _declared(loaded: Loaded) -> bool:
    if loaded.config is None or loaded.config.identities is None:
        return False
    return any(row.values.get("limits") or row.values.get("settings", NOTHING).limits for row in rows(loaded.config.identities))


def _stored(loaded: Loaded, state: Path) -> bool:
    if loaded.config is not None and loaded.config.store is not None:
        return False  # a check asks no database elsewhere
    levels, plans = Identities(state).levels()
    return any(level.settings.limits for level in levels) or any(plan.limits for plan in plans)
