"""Google's Generative Language API (Gemini), and the same at Vertex AI."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.framing import Framing
from extproc.dialects.gemini import answer, errors, request_read, request_write, watch
from extproc.dialects.gemini.count import Counting
from extproc.dialects.gemini.parts import NAME
from extproc.dialects.gemini.stream_read import StreamReader
from extproc.dialects.gemini.stream_write import Events, StreamWriter
from extproc.dialects.gemini.vectors import BatchEmbedContents, EmbedContent, Predict
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_PUBLISHERS = ("/v1beta1/publishers/google", "/v1/publishers/google")
"""Vertex AI's paths in its express mode, where the key tells the project; and of its lists."""

_VERTEX = ("/v1beta1/projects/{}/locations/{}/publishers/google", "/v1/projects/{}/locations/{}/publishers/google", *_PUBLISHERS)

# Uploads, downloads, and the WebSocket of its Live API, whatever the version.
_BESIDE = (
    *(f"/{what}/{version}/" for what in ("upload", "download") for version in ("v1beta", "v1")),
    "/ws/google.ai.generativelanguage.",
)

_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


def _asked(root: str) -> tuple[Place, ...]:
    """Where conversations are asked for, and counted, under `root`."""
    return (
        Place("chat", root + "/models/{model}:generateContent", stream=False),
        Place("chat", root + "/models/{model}:streamGenerateContent", stream=True),
        Place("count", root + "/models/{model}:countTokens", stream=False),
        Place("embeddings", root + "/models/{model}:batchEmbedContents", stream=False),
        Place("embed_content", root + "/models/{model}:embedContent", stream=False),
    )


def _named(root: str) -> tuple[Place, ...]:
    """All else that is asked of a model under `root`: what names one must not pass for something that names none."""
    return (Place("json", root + "/models/{model}:{}"), Place("json", root + "/tunedModels/{model}:{}"))


_COUNTING = Counting()
_VECTORS: dict[str, Operation[Any, Any]] = {
    "embeddings": BatchEmbedContents(),
    "embed_content": EmbedContent(),
    "predict": Predict(),
}


class Gemini(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = SSE
    root = "/v1beta"
    places: tuple[Place, ...] = (
        # Where providers are asked for streams; as a path of a client it has no query.
        Place("chat", "/v1beta/models/{model}:streamGenerateContent?alt=sse", stream=True),
        *(place for root in ("/v1beta", "/v1", *_VERTEX) for place in _asked(root)),
        *(place for root in ("/v1beta", "/v1") for place in _named(root)),
        # It is for more than vectors.
        *(Place("json", f"{root}/models/{{model}}:predict", stream=False, reading="predict") for root in _VERTEX),
        *(Place("json", f"{root}/models/{{model}}:{{}}") for root in _VERTEX),
        # Only providers are asked for it here: a client's request is found further up.
        Place("predict", "/v1beta/models/{model}:predict", stream=False),
        Place("json", "/v1beta/interactions"),
        *(
            Place("live", f"/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}", method="GET")
            for version in ("v1", "v1alpha", "v1beta")
            for method in ("BidiGenerateContent", "BidiGenerateContentConstrained")
        ),
        *(Place("models", root + "/models", method="GET") for root in ("/v1beta", "/v1", *_PUBLISHERS)),
        *(Place("models", root + "/models/{model}", method="GET") for root in ("/v1beta", "/v1", *_PUBLISHERS)),
    )
    prefixes: tuple[str, ...] = ("/v1beta/", "/v1beta1/", "/v1/projects/", _PUBLISHERS[1], *_BESIDE)
    beside: tuple[str, ...] = ("/v1/", *_BESIDE)
    mark = "x-goog-api-client"

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, "count": _COUNTING, **_VECTORS}

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
        return StreamWriter(Events())

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        return watch.usage(body)

    def stream_usage(self) -> watch.StreamUsage:
        return watch.StreamUsage()

    def read_error(self, status: int, body: bytes) -> Fault:
        return errors.read_error(status, body)

    def write_error(self, fault: Fault, request_id: str) -> Extra:
        return errors.write_error(fault, request_id)

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        return b"data: " + msgspec.json.encode(errors.write_error(fault, request_id)) + b"\n\n"

    def list_models(self, names: Sequence[str]) -> Extra:
        return {"models": [self.describe_model(name) for name in names]}

    def describe_model(self, name: str) -> Extra:
        return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": list(_METHODS)}

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        return (("x-goog-api-key", key),)
