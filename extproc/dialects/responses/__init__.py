"""OpenAI's Responses API."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.openai_errors import read_error, write_error
from extproc.dialects.openai_models import describe_model, list_models
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.responses import answer, request_read, request_write, watch
from extproc.dialects.responses.count import Counting
from extproc.dialects.responses.parts import NAME
from extproc.dialects.responses.stream_output import stream_error
from extproc.dialects.responses.stream_read import StreamReader
from extproc.dialects.responses.stream_write import StreamWriter
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_COUNTING = Counting()


class Responses(Usual):
    """See `dialect.Dialect`. What the provider remembers (`/v1/responses/{id}`, `/v1/conversations`) passes through to it."""

    name = NAME
    framing: Framing = SSE
    root = "/v1"
    places: tuple[Place, ...] = (
        Place("chat", "/v1/responses"),
        Place("count", "/v1/responses/input_tokens"),
        # A conversation made short by its provider, which is paid for: https://platform.openai.com/docs/api-reference/responses/compact
        Place("json", "/v1/responses/compact"),
    )
    prefixes: tuple[str, ...] = ("/v1/responses", "/v1/conversations")

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
        return read_error(status, body)

    def write_error(self, fault: Fault, request_id: str) -> Extra:
        return write_error(fault, request_id)

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        return stream_error(fault, request_id)

    def list_models(self, names: Sequence[str]) -> Extra:
        return list_models(names)

    def describe_model(self, name: str) -> Extra:
        return describe_model(name)
