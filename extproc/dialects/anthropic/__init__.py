"""Anthropic messages."""

import msgspec

from extproc.dialects.anthropic import answer, errors, request_read, request_write, watch
from extproc.dialects.anthropic.blocks import NAME
from extproc.dialects.anthropic.stream_read import StreamReader
from extproc.dialects.anthropic.stream_write import StreamWriter
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.errors import Fault
from extproc.usage import Usage


class Anthropic:
    """See `dialect.Dialect`."""

    name = NAME

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, conversation: Conversation, model: str) -> Extra:
        return request_write.write_request(conversation, model)

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

    def is_usage_only(self, event: bytes) -> bool:
        return False

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", key), ("anthropic-version", "2023-06-01"))
