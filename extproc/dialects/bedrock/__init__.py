"""Amazon Bedrock's Converse and ConverseStream."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from extproc.dialects import dialect
from extproc.dialects.bedrock import answer, errors, request_read, request_write, watch
from extproc.dialects.bedrock.blocks import NAME
from extproc.dialects.bedrock.count import Counting
from extproc.dialects.bedrock.stream_read import StreamReader
from extproc.dialects.bedrock.stream_write import StreamWriter, fail
from extproc.dialects.bedrock.vectors import Embeddings, Reranking
from extproc.dialects.bedrock.words import NAMES
from extproc.dialects.dialect import Operation, Place, Usual
from extproc.dialects.eventstream import EVENT_STREAM
from extproc.dialects.framing import Framing
from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.errors import Fault
from extproc.usage import Usage

_COUNTING, _EMBEDDINGS, _RERANKING = Counting(), Embeddings(), Reranking()
_MODES = ["TEXT"]


class Bedrock(Usual):
    """See `dialect.Dialect`."""

    name = NAME
    framing: Framing = EVENT_STREAM
    root = ""
    places: tuple[Place, ...] = (
        Place("chat", "/model/{model}/converse", stream=False),
        Place("chat", "/model/{model}/converse-stream", stream=True),
        Place("count", "/model/{model}/count-tokens", stream=False, reading="count"),
        Place("invoke", "/model/{model}/invoke", stream=False, reading="invoke"),
        # Providers are asked for them there, too; what a client asks for is not to be seen in the path.
        Place("embeddings", "/model/{model}/invoke", stream=False),
        Place("rerank", "/model/{model}/invoke", stream=False),
        Place("json", "/model/{model}/invoke-with-response-stream", stream=True, reading="invoke"),
        Place("models", "/foundation-models", method="GET"),
        Place("models", "/foundation-models/{model}", method="GET"),
    )
    prefixes: tuple[str, ...] = ("/model/", "/foundation-models")
    id_header = "x-amzn-requestid"
    counts = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"chat": self, "count": _COUNTING, "embeddings": _EMBEDDINGS, "invoke": _EMBEDDINGS, "rerank": _RERANKING}

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        own = conversation.dialect == NAME
        drop = conversation.drop_path if own else lambda field: conversation.drop(NAMES.get(field, field))
        return finished(request_write.write_request(conversation, model), quirks, drop)

    def read_answer(self, body: Extra) -> Answer:
        return answer.read_answer(body)

    def write_answer(self, given: Answer) -> Extra:
        return answer.write_answer(given)

    def stream_reader(self) -> StreamReader:
        return StreamReader()

    def stream_writer(self, *, include_usage: bool) -> dialect.StreamWriter:
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
        """As https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html has it."""
        return {"modelSummaries": [_summary(name) for name in names]}

    def describe_model(self, name: str) -> Extra:
        return {"modelDetails": _summary(name)}

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        """An API key of Bedrock's. With AWS credentials, Envoy signs the request instead (`Provider.aws`)."""
        return (("authorization", f"Bearer {key}"),)


def _summary(name: str) -> Extra:
    modes = {"inputModalities": _MODES, "outputModalities": _MODES}
    return {
        "modelArn": f"arn:aws:bedrock:::foundation-model/{name}",
        "modelId": name,
        "modelName": name,
        "responseStreamingSupported": True,
        **modes,
    }
