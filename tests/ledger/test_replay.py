"""All recorded answers of all providers: their money equals that of genai-prices on the same usage, to the last digit."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from extproc.config.forms import DialectName
from extproc.config.model import Provider
from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.usage import Usage
from tests.ledger.theirs import money

RECORDINGS = Path(__file__).parent.parent / "recordings"
NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC).timestamp()
_PATHS: dict[str, DialectName] = {
    "/chat/completions": "openai", "/embeddings": "openai", "/messages": "anthropic", "/responses": "responses", "/chat": "cohere",
    "/embed": "cohere", "Content": "gemini", "Contents": "gemini", ":predict": "gemini", "/converse": "bedrock",
    "/converse-stream": "bedrock", "/invoke": "bedrock",
}  # fmt: skip


class Answer(NamedTuple):
    """What a provider has answered, and counted."""

    dialect: DialectName
    url: str
    usage: Usage
    answered: str
    asked: str


def recorded() -> Iterator[Answer]:
    """Every recorded answer that tells its usage."""
    for path in sorted(RECORDINGS.glob("*/*.json")):
        for pair in json.loads(path.read_text()):
            request, response = pair["request"], pair["response"]
            url = urlsplit(request["url"])
            dialect = next((name for end, name in _PATHS.items() if url.path.endswith(end)), None)
            if response["status"] == 200 and dialect is not None:
                usage, model = counted(dialect, response)
                if usage is not None:
                    yield Answer(dialect, f"{url.scheme}://{url.netloc}{url.path}", usage, model, asked(url.path, request.get("json")))


def counted(dialect: str, response: dict[str, Any]) -> tuple[Usage | None, str]:
    """Usage and model, as they are read of what passes through."""
    if "json" in response:
        return DIALECTS[dialect].usage(json.dumps(response["json"]).encode())
    watch = DIALECTS[dialect].stream_usage()
    body = base64.b64decode(response["base64"]) if "base64" in response else response["text"].encode()
    for event in split(DIALECTS[dialect].framing, body):
        watch.feed(event)
    return watch.usage, watch.model


def asked(path: str, body: Any) -> str:
    """The model that was asked for."""
    parts = [unquote(part) for part in path.split("/")]
    named = {part: after for part, after in pairwise(parts) if part in ("models", "model")}
    if "models" in named:
        # Google's, with the method behind it.
        return named["models"].partition(":")[0]
    return named.get("model", "") or (body.get("model", "") if isinstance(body, dict) else "")


def test_all_recordings_cost_what_genai_prices_says() -> None:
    import genai_prices  # noqa: PLC0415 - slow, and only this one wants it

    priced, unpriced, services = 0, Counter[str](), Counter[str]()
    for one in recorded():
        book = PriceBook(providers={"it": Provider(dialect=one.dialect, base_url=one.url)})
        record = Record(id="a", time=NOW, provider="it", target=one.asked, answered=one.answered, usage=one.usage, attempts=1)
        ours = book.price(record)
        if ours.cost is None:
            unpriced[urlsplit(one.url).netloc] += 1
            for name in filter(None, (one.answered, one.asked)):
                with pytest.raises(LookupError):
                    genai_prices.calc_price(genai_prices.Usage(input_tokens=1), name, provider_api_url=one.url)
            continue
        given, made, total = money(ours.source, one.usage, NOW)
        assert ours.cost == sum(ours.parts.values()) == total, one
        assert (ours.parts["input"] <= given, ours.parts["output"] <= made) == (True, True)
        assert ours.version.startswith("genai-prices ")
        priced += 1
        services[one.usage.tier] += 1
    assert priced >= 300
    assert services.keys() == {"", "flex"}
    assert sum(unpriced.values()) <= 12, unpriced
