"""genai-prices' own sums, for comparing with ours."""

from datetime import UTC, datetime
from decimal import Decimal

from extproc.ledger.listed import SERVICES
from extproc.usage import Usage


def named(usage: Usage) -> dict[str, int]:
    """A usage in the names of genai-prices. What is not told is left out, as a provider leaves it out; what overlaps is told as 0."""
    counts = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "cache_write_5m_tokens": usage.cache_write - usage.cache_write_1h,
        "output_reasoning_tokens": usage.reasoning,
        "input_audio_tokens": usage.input_audio,
        "output_audio_tokens": usage.output_audio,
        "input_image_tokens": usage.input_image,
        "output_image_tokens": usage.output_image,
    }
    known = {name: count for name, count in counts.items() if count}
    for kind, count in (("audio", usage.input_audio), ("image", usage.input_image)):
        if count:
            for what in ("read", "write", "write_5m", "write_1h"):
                known[f"cache_{kind}_{what}_tokens"] = 0
    # What was cached of which kind is rarely told: as little as the sums allow.
    shared = max(0, usage.input_audio + usage.input_image + usage.cache_read + usage.cache_write - usage.input)
    if usage.input_audio:
        known["cache_audio_read_tokens"] = min(usage.input_audio, shared)
    if usage.input_image:
        known["cache_image_read_tokens"] = shared - min(usage.input_audio, shared)
    if usage.reasoning:
        known["output_audio_reasoning_tokens"] = known["output_image_reasoning_tokens"] = 0
    return known


def money(source: str, usage: Usage, when: float, **amounts: float) -> tuple[Decimal, Decimal, Decimal]:
    """What genai-prices makes of it, for the model of one of our sources: input, output, and all. Raises as it does."""
    from genai_prices import Usage as Theirs  # noqa: PLC0415 - slow
    from genai_prices.data import providers  # noqa: PLC0415

    vendor_id, _, model_id = source.removeprefix("genai-prices:").partition("/")
    vendor = next(one for one in providers if one.id == vendor_id)
    model = vendor.find_model(model_id, all_providers=providers)
    if model is None or model.id != model_id:
        # Another one goes by its id, too.
        every = [one for other in providers for one in other.models if one.id == model_id]
        model = next(one for one in vendor.models if one.id == model_id) if not every else every[0]
    context = dict.fromkeys(SERVICES, usage.tier) if usage.tier else None
    found = model.calc_price(
        Theirs(**{**named(usage), **amounts}), vendor, genai_request_timestamp=datetime.fromtimestamp(when, UTC), price_context=context
    )
    return found.input_price, found.output_price, found.total_price
