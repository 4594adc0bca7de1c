"""Ollama's own API: chat and generate."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.lines import LINES, line
from extproc.dialects.ollama import answer, errors, models, request_read, request_write, watch
from extproc.dialects.ollama.generate import Generate
from extproc.dialects.ollama.parts import NAME
from extproc.dialects.ollama.stream_read import StreamReader
from extproc.dialects.ollama.stream_write import StreamWriter
from extproc.dialects.ollama.vectors import Embed, EmbedPrompt
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Fault
from extproc.usage import Usage

# Clients look at it to see what they may ask: it is the one whose API this is.
_VERSION = "0.33.0"


class Ollama(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = LINES
    root = ""
    places: tuple[Place, ...] = (
        Place("chat", "/api/chat", stream=True),
        Place("generate", "/api/generate", stream=True),
        Place("embeddings", "/api/embed"),
        Place("embed_prompt", "/api/embeddings"),
        Place("models", "/api/tags", method="GET"),
        Place("model", "/api/show"),
        Place("fixed", "/api/version", method="GET", body=msgspec.json.encode({"version": _VERSION})),
    )
    prefixes: tuple[str, ...] = ("/api/",)

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, "generate": _GENERATE, "embeddings": _EMBED, "embed_prompt": _EMBED_PROMPT}

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        return request_write.write_request(conversation, model, quirks)

    def read_answer(self, body: Extra) -> Answer:
        return answer.read_answer(body, answer.CHAT)

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
        return line(errors.write_error(fault, request_id))

    def list_models(self, names: Sequence[str]) -> Extra:
        return {"models": [models.list_model(name) for name in names]}

    def describe_model(self, name: str) -> Extra:
        return models.describe_model(name)


_GENERATE, _EMBED, _EMBED_PROMPT = Generate(), Embed(), EmbedPrompt()
