"""Anthropic messages."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from extproc.dialects.anthropic import answer, errors, request_read, request_write, watch
from extproc.dialects.anthropic.blocks import NAME
from extproc.dialects.anthropic.count import Counting
from extproc.dialects.anthropic.stream_read import StreamReader
from extproc.dialects.anthropic.stream_write import StreamWriter
from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_COUNTING = Counting()

_VERTEX = "/projects/{}/locations/{}/publishers/anthropic"

# Anthropic tells when a model was made. We do not know, and clients insist on a value: plainly no real one.
_CREATED_AT = "1970-01-01T00:00:00Z"


class Anthropic(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = SSE
    root = "/v1"
    places: tuple[Place, ...] = (
        Place("chat", "/v1/messages"),
        Place("count", "/v1/messages/count_tokens"),
        # Clients of Vertex AI, whose base URL has the version, or a gateway's has not.
        *(
            Place("chat", f"{version}{_VERTEX}/models/{{model}}:{verb}", stream=stream, reading="vertex")
            for version in ("", "/v1", "/v1beta1")
            for verb, stream in (("rawPredict", False), ("streamRawPredict", True))
        ),
        Place("models", "/v1/models", method="GET"),
        Place("models", "/v1/models/{model}", method="GET"),
    )
    prefixes: tuple[str, ...] = ("/v1/messages",)
    mark = "anthropic-version"
    id_header = "request-id"

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, "count": _COUNTING}

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        return request_write.write_request(conversation, model, quirks)

    def read_answer(self, body: Extra) -> Answer:
        return answer.read_answer(body)

    def write_answer(self, given: Answer) -> Extra:
        return answer.write_answer(given)

    def stream_reader(self) -> StreamReader:
        return StreamReader()

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        return StreamWriter()

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        return watch.usage(body)

    def stream_usage(self) -> watch.StreamUsage:
        return watch.StreamUsage()

    def read_error(self, status: int, body: bytes) -> Fault:
        return errors.read_error(status, body)

    def write_error(self, fault: Fault, request_id: str) -> Extra:
        return errors.write_error(fault, request_id)

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        return b"event: error\ndata: " + msgspec.json.encode(errors.write_error(fault, request_id)) + b"\n\n"

    def list_models(self, names: Sequence[str]) -> Extra:
        ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
        return {"data": [self.describe_model(name) for name in names], "has_more": False, **ends}

    def describe_model(self, name: str) -> Extra:
        return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", key), ("anthropic-version", "2023-06-01"))
