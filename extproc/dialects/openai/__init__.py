"""OpenAI chat completions; usage also of completions, embeddings and what else OpenAI offers beside the Responses API."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.openai import answer, request_read, request_write, watch
from extproc.dialects.openai.completions import Completions
from extproc.dialects.openai.embeddings import Embeddings
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.rerank import Reranking, Scoring, TextReranking, VoyageReranking
from extproc.dialects.openai.stream_read import StreamReader
from extproc.dialects.openai.stream_write import StreamWriter
from extproc.dialects.openai_errors import read_error, write_error
from extproc.dialects.openai_models import describe_model, list_models
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_JSON = (
    "/v1/moderations",
    "/v1/images/generations",
)

_FORMS = (
    "/v1/images/edits",
    "/v1/images/variations",
)

_HEARD = (
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)

_OPERATIONS: dict[str, Operation[Any, Any]] = {
    "completions": Completions(),
    "embeddings": Embeddings(),
    "rerank": Reranking(),
    "rerank_voyage": VoyageReranking(),
    "rerank_texts": TextReranking(),
    "score": Scoring(),
}


class OpenAI(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = SSE
    root = "/v1"
    places: tuple[Place, ...] = (
        Place("chat", "/v1/chat/completions", asks_usage=True),
        Place("completions", "/v1/completions", asks_usage=True),
        Place("embeddings", "/v1/embeddings"),
        Place("rerank", "/v1/rerank"),
        Place("rerank", "/rerank"),
        Place("score", "/v1/score"),
        Place("score", "/score"),
        *(Place("json", path) for path in _JSON),
        Place("json", "/v1/audio/speech", spoken=True, gives="audio"),
        *(Place("form", path) for path in _FORMS),
        # `response_format` may be a text, or subtitles.
        *(Place("form", path, gives="text") for path in _HEARD),
        # Google's service in this dialect, for clients that are turned to the gateway with its path.
        Place("chat", "/v1beta/openai/chat/completions", asks_usage=True),
        Place("embeddings", "/v1beta/openai/embeddings"),
        Place("json", "/v1beta/openai/images/generations"),
        # OpenRouter's, in the same way. `ml` is what a system before this one called it where it chose the model itself.
        Place("chat", "/api/v1/chat/completions", asks_usage=True),
        Place("chat", "/api/v1/chat/completions/ml", asks_usage=True),
        Place("live", "/v1/realtime", method="GET"),
        Place("models", "/v1/models", method="GET"),
        Place("models", "/v1/models/{model}", method="GET"),
        Place("models", "/api/v1/models", method="GET"),
    )
    prefixes: tuple[str, ...] = ("/v1/", "/api/v1/")

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, **_OPERATIONS}

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
        return StreamWriter(include_usage)

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        return watch.usage(body)

    def stream_usage(self) -> watch.StreamUsage:
        return watch.StreamUsage()

    def read_error(self, status: int, body: bytes) -> Fault:
        return read_error(status, body)

    def write_error(self, fault: Fault, request_id: str) -> Extra:
        return write_error(fault, request_id)

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        return b"data: " + msgspec.json.encode(write_error(fault, request_id)) + b"\n\ndata: [DONE]\n\n"

    def is_usage_only(self, event: bytes) -> bool:
        return watch.is_usage_only(event)

    def list_models(self, names: Sequence[str]) -> Extra:
        return list_models(names)

    def describe_model(self, name: str) -> Extra:
        return describe_model(name)
