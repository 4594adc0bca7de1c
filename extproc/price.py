"""What a target charges for tokens, as workers have it: compiled by the control process, which has the price lists."""

from decimal import Decimal

from msgspec import Struct

from extproc.exact import EXACT


class Step(Struct, frozen=True):
    """Prices that hold for prompts of some length, in US dollars a token."""

    above: int
    """They hold for more input tokens than this."""
    input: Decimal
    output: Decimal


class Price(Struct, frozen=True):
    """What a target charges."""

    steps: tuple[Step, ...]
    """From the highest on: providers charge all tokens of a long prompt at the higher price."""

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """US dollars, exact, for tokens of which none is in a provider's cache."""
        step = next((step for step in self.steps if input_tokens > step.above), self.steps[-1])
        return EXACT.add(EXACT.multiply(step.input, input_tokens), EXACT.multiply(step.output, output_tokens))
