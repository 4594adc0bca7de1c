"""Where prices come from beside the list that is built in, and what tenants are charged."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Section

DecimalText = Annotated[
    str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$", description='a decimal in quotes, such as "1.20", and never negative')
]


class Adjustment(Section, frozen=True):
    """A margin or a discount: what is charged is `factor` times what the provider charges, and `plus`. The first that fits counts."""

    tenant: str = "*"
    """Whose requests; `*` stands for any characters."""
    models: str = "*"
    """Which models: `provider/model` as it was asked or has answered, or the configured name; `*` stands for any characters."""
    factor: DecimalText = "1"
    """What each part of the cost is multiplied by: "1.2" is a margin of a fifth, "0.9" a discount of a tenth."""
    plus: DecimalText = "0"
    """US dollars that each request that reached a provider costs beside that."""


class Pricing(Section, frozen=True):
    """Lists of prices, and what is charged. Own prices of single models are in `prices`."""

    litellm: str | None = None
    """A copy of LiteLLM's table, `model_prices_and_context_window.json`; relative to the configuration file. It goes before the
    catalogue and the built-in list."""
    adjust: tuple[Adjustment, ...] = ()
    """Margins and discounts."""
