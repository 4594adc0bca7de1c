"""Recorded exchanges with the real providers, sorted by dialect, and ways to put a stream through two dialects.

Where there are no recordings of a dialect, or too few, `exchanges/` has some written by its API reference.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from extproc.dialects import DIALECTS
from extproc.dialects.hub import StreamEvent
from tests.dialects.framed import cut, raw_events

RECORDINGS = Path(__file__).parents[1] / "recordings"
WRITTEN = Path(__file__).parent / "exchanges"
OTHER = {"openai": "anthropic", "anthropic": "openai", "cohere": "openai", "ollama": "openai"}
MODEL = {
    "openai": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "responses": "gpt-5",
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
    "ollama": "llama3.2",
    "bedrock": "amazon.nova-pro-v1:0",
}

_PATHS = {
    "/chat/completions": "openai",
    "/v1/messages": "anthropic",
    "/responses": "responses",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/v2/chat": "cohere",
    "/api/chat": "ollama",
}
_OPENAI = ("openai", "cerebras", "deepseek", "groq", "huggingface", "mistral", "ollama", "openrouter")
"""Folders of providers that speak its dialect."""
_FOLDERS = (*_OPENAI, "anthropic", "openai-responses", "google", "cohere")
_NAMED = re.compile(r"/models/([^/:]+):(stream)?")


class Exchange(NamedTuple):
    """One request and what the provider said to it."""

    name: str
    url: str
    dialect: str
    """Empty where the path is of no dialect that is translated."""
    request: Any
    """As a dialect reads it: with the model, and whether it is streamed, where the path says so."""
    sent: Any
    """As it was sent."""
    status: int
    answer: Any
    """Parsed JSON, or None."""
    text: str
    """A stream's bytes, or empty."""


def read(file: Path) -> list[Exchange]:
    exchanges = []
    for i, pair in enumerate(json.loads(file.read_text())):
        request, response = pair["request"], pair["response"]
        path = re.split(r"[?#]", request["url"])[0]
        dialect = next((name for end, name in _PATHS.items() if path.endswith(end)), "")
        name = f"{file.parent.name}-{file.stem}-{i}"
        body, answer, text = request.get("json"), response.get("json"), response.get("text", "")
        sent, named = body, _NAMED.search(path)
        if named and type(body) is dict:
            body = {**body, "model": named[1], "stream": named[2] is not None}
        exchanges.append(Exchange(name, path, dialect, body, sent, response["status"], answer, text))
    return exchanges


_FILES = [file for folder in _FOLDERS for file in sorted((RECORDINGS / folder).glob("*.json"))]
ALL = [exchange for file in (*_FILES, *sorted(WRITTEN.glob("*.json"))) for exchange in read(file)]
TRANSLATED = [exchange for exchange in ALL if exchange.dialect]
ANSWERS = [exchange for exchange in TRANSLATED if exchange.status == 200 and exchange.answer is not None]
_STREAMED = [exchange for exchange in TRANSLATED if exchange.status == 200 and exchange.text]
STREAMS = [exchange for exchange in _STREAMED if "event: error" not in exchange.text]
FAILED_STREAMS = [exchange for exchange in _STREAMED if "event: error" in exchange.text]


def name(exchange: Exchange) -> str:
    return exchange.name


def data(stream: bytes, dialect: str = "openai") -> list[Any]:
    """The JSON of each event."""
    return [json.loads(event.data) for event in raw_events(DIALECTS[dialect].framing, stream) if event.data != b"[DONE]"]


def hub_events(dialect: str, stream: bytes, cuts: list[int] | None = None) -> list[StreamEvent]:
    """A provider's stream as hub events, fed in pieces that end at `cuts`."""
    reader = DIALECTS[dialect].stream_reader()
    events: list[StreamEvent] = []
    for event in raw_events(DIALECTS[dialect].framing, *cut(stream, cuts or [])):
        events += reader.feed(event)
    return events + reader.end()


def rewrite(source: str, target: str, stream: bytes, cuts: list[int] | None = None, *, include_usage: bool = True) -> bytes:
    """A stream of `source` as `target` writes it."""
    writer = DIALECTS[target].stream_writer(include_usage=include_usage)
    return b"".join(writer.write(event) for event in hub_events(source, stream, cuts)) + writer.end()
