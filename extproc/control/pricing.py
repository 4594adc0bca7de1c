"""The lists of prices of a gateway, as its files have them; and prices for workers, who have no list: of targets whose model's strategy
asks for them.
"""

import logging
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from extproc.config.lookup import STRATEGIES
from extproc.config.model import Config, Model, aim, priced_as, split_target
from extproc.errors import ConfigError
from extproc.ledger import litellm
from extproc.ledger.installed import Installed
from extproc.ledger.litellm import LiteLLM
from extproc.ledger.prices import Lists, PriceBook
from extproc.ledger.sheet import Catalogue
from extproc.price import Price

_log = logging.getLogger(__name__)

Mark = tuple[int, int, int] | None
"""Changes whenever a file does; None: it is not there."""


def book(config: Config, state: Path | None) -> PriceBook:
    """All prices that a configuration has, with the catalogue of a state folder.

    A list that cannot be read is left out, and the log says so: what it had is priced by the lists behind it. Where one could be read
    before, that is kept.
    """
    return PriceBook(config.prices, config.providers, lists(config, state), config.pricing.adjust)


def lists(config: Config, state: Path | None) -> Lists:
    """The lists that go before the built-in one. See `book`."""
    table = config.pricing.litellm
    return Lists(_table(Path(table)) if table is not None else None, _catalogue(state) if state is not None else None)


def marks(config: Config, state: Path) -> dict[Path, Mark]:
    """The files that prices come from: when one of these marks changes, so may prices."""
    paths = [Installed(state).pointer, *([Path(config.pricing.litellm)] if config.pricing.litellm is not None else [])]
    return {path: _mark(path) for path in paths}


def quotes(config: Config, state: Path | None = None, *, every: bool = False) -> dict[str, Price]:
    """By `provider/model`: what these targets charge today. Those of unknown price are not among them. `every`: all targets, since budgets
    are counted.
    """
    asked = list(targets(config) if every else _asked(config))
    if not asked:
        return {}
    prices, now = book(config, state), time.time()
    found = {name: prices.quote(*split_target(name), now) for _, name in asked}
    return {name: price for name, price in found.items() if price is not None}


def unpriced(config: Config) -> list[str]:
    """A line for each target that is tried last because nobody knows its price."""
    known = quotes(config)
    why = "is not known, so it is tried last; `prices` can say it"
    return [f"{path}: the price of `{name}` {why}" for path, name in _asked(config) if name not in known]


def faults(config: Config) -> Iterator[str]:
    """A line for each list of the configuration that cannot be read."""
    if config.pricing.litellm is not None:
        try:
            litellm.read(Path(config.pricing.litellm))
        except (OSError, ValueError) as error:
            yield f"$.pricing.litellm: {config.pricing.litellm} is no table of LiteLLM's: {error}"


def _mark(path: Path) -> Mark:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


_tables: dict[Path, LiteLLM] = {}
_catalogues: dict[Path, Catalogue] = {}
"""The last of each that could be read."""


def _table(path: Path) -> LiteLLM | None:
    try:
        _tables[path] = _read_table(path, _mark(path))
    except (OSError, ValueError) as error:
        _log.error("LiteLLM's table %s cannot be read: %s; %s", path, error, _instead(path in _tables))
    return _tables.get(path)


def _catalogue(state: Path) -> Catalogue | None:
    installed = Installed(state)
    try:
        found = _read_catalogue(state, _mark(installed.pointer))
    except (OSError, ValueError, ConfigError) as error:
        _log.error("the catalogue of prices in %s cannot be read: %s; %s", installed.pointer.parent, error, _instead(state in _catalogues))
        return _catalogues.get(state)
    if found is None:
        _catalogues.pop(state, None)
    else:
        _catalogues[state] = found
    return found


def _instead(kept: bool) -> str:
    return "the one before stays" if kept else "the other lists price what it would have"


@lru_cache(maxsize=2)
def _read_table(path: Path, mark: Mark) -> LiteLLM:
    return litellm.read(path)


@lru_cache(maxsize=2)
def _read_catalogue(state: Path, mark: Mark) -> Catalogue | None:
    return Installed(state).load()


def targets(config: Config) -> Iterator[tuple[str, str]]:
    """Path of each target, and what its price is looked up by."""
    for at, model in enumerate(config.models):
        yield from _targets(at, model)


def _asked(config: Config) -> Iterator[tuple[str, str]]:
    """The same of each target that a strategy wants the price of."""
    for at, model in enumerate(config.models):
        if STRATEGIES.find(model.ordering[0]).needs_price:
            yield from _targets(at, model)


def _targets(at: int, model: Model) -> Iterator[tuple[str, str]]:
    for which, target in enumerate(model.targets):
        yield f"$.models[{at}].targets[{which}]", priced_as(aim(target), model.name)
