"""Prices for workers, who have no price list: of targets whose model's strategy asks for them."""

import time
from collections.abc import Iterator

from extproc.config.lookup import STRATEGIES
from extproc.config.model import Config, aim, priced_as, split_target
from extproc.ledger.prices import PriceBook
from extproc.price import Price


def quotes(config: Config) -> dict[str, Price]:
    """By `provider/model`: what these targets charge today. Those of unknown price are not among them."""
    book, now = PriceBook(config.prices, config.providers), time.time()
    found = {name: book.quote(*split_target(name), now) for _, name in _asked(config)}
    return {name: price for name, price in found.items() if price is not None}


def unpriced(config: Config) -> list[str]:
    """A line for each target that is tried last because nobody knows its price."""
    known = quotes(config)
    why = "is not known, so it is tried last; `prices` can say it"
    return [f"{path}: the price of `{name}` {why}" for path, name in _asked(config) if name not in known]


def _asked(config: Config) -> Iterator[tuple[str, str]]:
    """Path and name of each target that a strategy wants the price of."""
    for at, model in enumerate(config.models):
        if STRATEGIES.find(model.ordering[0]).needs_price:
            for which, target in enumerate(model.targets):
                yield f"$.models[{at}].targets[{which}]", priced_as(aim(target), model.name)
