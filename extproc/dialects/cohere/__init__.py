"""Cohere's chat, version 2."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from extproc.dialects.cohere import answer, errors, request_read, request_write, watch
from extproc.dialects.cohere.parts import NAME
from extproc.dialects.cohere.stream_read import StreamReader
from extproc.dialects.cohere.stream_write import StreamWriter, fail
from extproc.dialects.cohere.vectors import Embeddings, Reranking
from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_VECTORS: dict[str, Operation[Any, Any]] = {
    "embeddings": Embeddings(2),
    "embed_v1": Embeddings(1),
    "rerank": Reranking(),
}


class Cohere(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = SSE
    root = ""
    places: tuple[Place, ...] = (
        Place("chat", "/v2/chat"),
        Place("embeddings", "/v2/embed"),
        Place("embed_v1", "/v1/embed"),
        Place("rerank", "/v2/rerank"),
        Place("models", "/v1/models", method="GET"),
        Place("models", "/v1/models/{model}", method="GET"),
    )
    prefixes: tuple[str, ...] = ("/v2/",)
    # Its SDKs are made by Fern, and say so; nobody else's here are.
    mark = "x-fern-sdk-name"

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, **_VECTORS}

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
        return fail(fault, request_id)

    def list_models(self, names: Sequence[str]) -> Extra:
        return {"models": [self.describe_model(name) for name in names], "next_page_token": None}

    def describe_model(self, name: str) -> Extra:
        return {"name": name, "is_deprecated": False, "endpoints": ["chat", "embed", "rerank"], "finetuned": False}
