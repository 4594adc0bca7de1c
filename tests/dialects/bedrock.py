"""Recorded exchanges with Bedrock: its requests are JSON that the recordings hold as text, its streams are binary."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import EVENT_STREAM
from tests.dialects.framed import raw_events
from tests.dialects.traffic import RECORDINGS

BEDROCK = DIALECTS["bedrock"]


class Converse(NamedTuple):
    """One request and what Bedrock said to it."""

    name: str
    model: str
    request: Any
    """As the dialect reads it: with what the path says."""
    status: int
    answer: Any
    """Parsed JSON, or None."""
    stream: bytes

    @property
    def body(self) -> Any:
        """What went over the wire."""
        return {key: value for key, value in self.request.items() if key not in ("model", "stream")}


def _read(file: Path) -> list[Converse]:
    exchanges = []
    for i, pair in enumerate(json.loads(file.read_text())):
        request, response = pair["request"], pair["response"]
        *_, model, what = request["url"].split("/")
        if what not in ("converse", "converse-stream"):
            continue
        stream = base64.b64decode(response.get("base64", ""))
        answer = None if stream else response.get("json") or json.loads(response["text"])
        asked = json.loads(request["text"]) | {"model": unquote(model), "stream": what == "converse-stream"}
        exchanges.append(Converse(f"{file.stem}-{i}", unquote(model), asked, response["status"], answer, stream))
    return exchanges


ALL = [exchange for file in sorted((RECORDINGS / "bedrock").glob("*.json")) for exchange in _read(file)]
ANSWERS = [exchange for exchange in ALL if exchange.status == 200 and exchange.answer]
STREAMS = [exchange for exchange in ALL if exchange.stream]


def name(exchange: Converse) -> str:
    return exchange.name


def events(stream: bytes) -> list[tuple[str, Any]]:
    """Kind and JSON of each event, without the padding."""
    read = [(event.event, json.loads(event.data)) for event in raw_events(EVENT_STREAM, stream)]
    return [(kind, {key: value[key] for key in value if key != "p"}) for kind, value in read]
