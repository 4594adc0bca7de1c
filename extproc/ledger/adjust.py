"""What a tenant is charged, where that is not what its provider charged: margins, discounts, and a sum for each request."""

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from extproc.config.pricing import Adjustment
from extproc.errors import ConfigError
from extproc.exact import EXACT
from extproc.globs import regex
from extproc.ledger.money import add
from extproc.ledger.record import Record


class Charge(Struct, frozen=True):
    """What a tenant is charged. US dollars, exact."""

    price: Decimal
    parts: dict[str, Decimal]
    """As those of the cost; and `plus`, what each request costs beside that."""
    rule: str
    """Which adjustment it was: `adjust[0]`, or `mirror`."""


class _Rule(Struct, frozen=True):
    name: str
    tenant: re.Pattern[str]
    models: re.Pattern[str]
    factor: Decimal
    plus: Decimal


class Adjustments:
    """All of them, in order."""

    def __init__(self, rules: Sequence[Adjustment] = ()) -> None:
        """Raises ConfigError for a rule that is none."""
        self._rules = [_rule(at, one) for at, one in enumerate(rules)]

    def charge(self, record: Record, parts: dict[str, Decimal]) -> Charge | None:
        """What is charged for a request whose parts cost this. None: what it cost."""
        if record.mirror_of:
            # Nobody asked for it, and nobody got its answer.
            return Charge(Decimal(0), {}, "mirror")
        if not self._rules:
            return None
        models = (f"{record.provider}/{record.answered or record.target}", f"{record.provider}/{record.target}", record.route)
        for rule in self._rules:
            if rule.tenant.fullmatch(record.tenant) and any(map(rule.models.fullmatch, models)):
                charged = {kind: EXACT.multiply(amount, rule.factor) for kind, amount in parts.items()}
                if rule.plus:
                    charged["plus"] = rule.plus
                return Charge(add(charged.values()), charged, rule.name)
        return None


def _rule(at: int, one: Adjustment) -> _Rule:
    path = f"$.pricing.adjust[{at}]"
    return _Rule(
        f"adjust[{at}]",
        _pattern(one.tenant),
        _pattern(one.models),
        _decimal(f"{path}.factor", one.factor),
        _decimal(f"{path}.plus", one.plus),
    )


def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(regex(glob), re.DOTALL)


def _decimal(path: str, text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", text):
        raise ConfigError(path, f"`{text}` should be a decimal in quotes, such as `1.2`, and never negative")
    return Decimal(text)
