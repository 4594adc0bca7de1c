"""All recorded answers of all providers, and a provider that gives them again."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aiohttp import web

from tests.dialects import bedrock as amazon
from tests.dialects import traffic
from tests.e2e.cuts import BINARY, TEXT, Cut
from tests.e2e.replay import play_cut
from tests.e2e.said import Said, anthropic, bedrock, cohere, gemini, ollama, openai, responses
from tests.e2e.upstream import Scripted

_READERS: dict[str, Any] = {
    "openai": openai, "anthropic": anthropic, "responses": responses, "gemini": gemini, "cohere": cohere, "ollama": ollama,
    "bedrock": bedrock,
}  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")
_IN_PATH = re.compile(r"/models?/([^/:]+)[:/]")
_IN_BODY = re.compile(r'"model"\s*:\s*"([^"]+)"')
_WRITTEN = "by its reference"
"""In place of a folder: of these there are too few recordings."""


class Recording(NamedTuple):
    """One answer, whole or a stream."""

    name: str
    folder: str
    dialect: str
    body: bytes
    kind: str
    """Its media type."""
    stream: bool
    said: Said

    @property
    def provider(self) -> str:
        """The gateway's name for who said it: a folder holds providers of several dialects."""
        return _UNSAFE.sub("_", f"{self.folder}.{self.dialect}")

    def cuts(self) -> list[str]:
        """Ways to cut it, by name."""
        return [name for name, way in self._ways.items() if self.stream and way(self.body).places]

    def cut(self, name: str) -> Cut:
        """It, cut in that way."""
        return self._ways[name](self.body)

    @property
    def _ways(self) -> dict[str, Callable[[bytes], Cut]]:
        return BINARY if self.dialect == "bedrock" else TEXT


def _folder(exchange: traffic.Exchange) -> str:
    folders = sorted(traffic.RECORDINGS.iterdir(), key=lambda path: -len(path.name))
    return next((path.name for path in folders if exchange.name.startswith(f"{path.name}-")), _WRITTEN)


def _whole(exchange: traffic.Exchange) -> Recording:
    told = _READERS[exchange.dialect].whole(exchange.answer)
    body = json.dumps(exchange.answer, ensure_ascii=False).encode()
    return Recording(exchange.name, _folder(exchange), exchange.dialect, body, "application/json", False, told)


def _stream(exchange: traffic.Exchange) -> Recording:
    body = exchange.text.encode()
    told = _READERS[exchange.dialect].streamed(traffic.data(body, exchange.dialect))
    kind = "application/x-ndjson" if exchange.dialect == "ollama" else "text/event-stream"
    return Recording(exchange.name, _folder(exchange), exchange.dialect, body, kind, True, told)


def _amazon(exchange: amazon.Converse) -> Recording:
    name = f"bedrock-{exchange.name}"
    if exchange.stream:
        told = bedrock.streamed(amazon.events(exchange.stream))
        return Recording(name, "bedrock", "bedrock", exchange.stream, "application/vnd.amazon.eventstream", True, told)
    return Recording(
        name, "bedrock", "bedrock", json.dumps(exchange.answer).encode(), "application/json", False, bedrock.whole(exchange.answer)
    )


RECORDINGS = [
    *map(_whole, traffic.ANSWERS),
    *map(_stream, traffic.STREAMS),
    *map(_amazon, (*amazon.ANSWERS, *amazon.STREAMS)),
]  # fmt: skip


class Ask(NamedTuple):
    """One request of a client.

    The model that it asks for is nobody else's: it tells the provider what to say, and finds the request in the ledger.
    """

    recording: Recording
    client: str
    cut: str = ""
    """The way in which the stream is cut, if it is."""
    twice: bool = False
    """There is a second target, so that the adapter runs the attempt."""

    @property
    def model(self) -> str:
        """`once.groq-openai.<what is asked>`."""
        said = f"{self.recording.name}-{self.client}-{self.cut}"
        return f"{'twice' if self.twice else 'once'}.{self.recording.provider}.{_UNSAFE.sub('_', said)}"


class Recorded(Scripted):
    """A provider of every dialect."""

    def __init__(self) -> None:
        super().__init__(self._play)
        self._asks: dict[str, Ask] = {}

    def expect(self, asks: Iterable[Ask]) -> None:
        """What it will be asked."""
        for ask in asks:
            assert ask.model not in self._asks, ask.model
            self._asks[ask.model] = ask

    async def _play(self, request: web.Request) -> web.StreamResponse:
        asked = _IN_PATH.search(request.path) or _IN_BODY.search((await request.read()).decode())
        assert asked is not None
        recording, _, cut, _ = self._asks[asked[1]]
        if not cut:
            return web.Response(body=recording.body, headers={"content-type": recording.kind})
        stream, places = recording.cut(cut)
        return await play_cut(stream, places, {"content-type": recording.kind})(request)
