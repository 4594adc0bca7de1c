"""The one token model. Every dialect's way of counting is turned into it once, and out of it once.

Totals include their parts, as OpenTelemetry's `gen_ai.usage.*` and genai-prices count: `input` holds the cached and written tokens
too, `output` the reasoning. OpenAI counts so by itself; Anthropic's `input_tokens` leaves the cached and written ones out.
"""

from msgspec import Struct
from msgspec.structs import astuple, replace


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one answer. Unit: tokens, as the provider counted them."""

    input: int = 0
    """All input tokens: fresh, read from the provider's cache, and written to it."""
    output: int = 0
    """All output tokens, reasoning included."""
    cache_read: int = 0
    """Part of `input` that was read from the provider's cache."""
    cache_write: int = 0
    """Part of `input` that was written to the provider's cache (5 minutes and 1 hour)."""
    cache_write_1h: int = 0
    """Part of `cache_write` that is kept for an hour, which costs more."""
    reasoning: int = 0
    """Part of `output` that was spent on reasoning."""
    input_audio: int = 0
    """Part of `input` that was audio."""
    output_audio: int = 0
    """Part of `output` that was audio."""
    input_image: int = 0
    """Part of `input` that was pictures."""
    output_image: int = 0
    """Part of `output` that was pictures."""
    tier: str = ""
    """The service that the provider says it was, where that has prices of its own: `flex`, `priority`, `batch`, `fast`. See `tier_of`."""

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output


def higher(one: Usage, other: Usage) -> Usage:
    """Of two accounts of the same answer, which may both lack something, the larger count of each kind."""
    return Usage(*map(max, astuple(one), astuple(other)))


COUNTS = tuple(name for name in Usage.__struct_fields__ if name != "tier")
"""The fields that are counts."""
_TIERS = {
    "flex": "flex", "priority": "priority", "batch": "batch", "fast": "fast",
    "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority",
}  # fmt: skip


def tier_of(word: object) -> str:
    """The service that a provider names in its answer, in one word for all providers; empty for the one that is usual, or unknown.

    OpenAI and Groq say `service_tier` (https://platform.openai.com/docs/api-reference/chat/object), Anthropic `service_tier` and `speed`
    in `usage` (https://docs.claude.com/en/api/service-tiers), Gemini `serviceTier` and Vertex `trafficType` in `usageMetadata`.
    """
    return _TIERS.get(word, "") if isinstance(word, str) else ""


def of_tier(usage: Usage | None, word: object) -> Usage | None:
    """The usage, of the service that the answer around it names."""
    tier = tier_of(word)
    return replace(usage, tier=tier) if tier and usage is not None else usage


MOST = 2**40
"""No answer has as many tokens; and a few such counts, added up, are still exact wherever they are stored."""


def natural(value: int | None) -> int:
    """A count as a provider tells it: what is absent, less than nothing, or more than anybody can have counted, counts nothing."""
    return value if value and 0 < value < MOST else 0


# A rule of thumb, for where a provider never told; what it gives is marked as estimated wherever it is used.
_BYTES_PER_TOKEN = 4


def broken_off(told: Usage | None, request: int, text: int) -> Usage | None:
    """Usage of an answer that ended before its final count: at least what was told, and at least what was seen. None if `told` holds.

    `request`: bytes of the request's body. `text`: UTF-8 bytes of generated content.
    """
    seen = -(-text // _BYTES_PER_TOKEN)
    if told is None:
        return Usage(input=-(-request // _BYTES_PER_TOKEN), output=seen)
    return replace(told, output=seen) if seen > told.output else None
