"""Anthropic's Messages as Bedrock's InvokeModel has them: Anthropic's bodies, with `anthropic_version` for `model` and `stream`.

Streams are Amazon's, whose messages hold Anthropic's events, and errors are Bedrock's.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html
"""

import re
from base64 import b64encode
from typing import Any

import msgspec

from extproc.dialects import betas
from extproc.dialects.anthropic import Anthropic
from extproc.dialects.anthropic.stream_write import StreamWriter
from extproc.dialects.bedrock import Bedrock
from extproc.dialects.dialect import Operation
from extproc.dialects.eventstream import EVENT_STREAM, event
from extproc.dialects.framing import Framing, split
from extproc.dialects.hub import Conversation, Error, Extra, StreamEvent, Used
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from extproc.usage import Usage

_ENVELOPE = Bedrock()
_UNSAID = ("anthropic_version", betas.MEMBER)
_STOPPED = b'{"type":"message_stop"'
_CLAUDE = re.compile(r"anthropic\.|^arn:[^/]*:(application-inference-profile|provisioned-model)/")
"""What Bedrock calls models that take Anthropic's bodies. Ids name the maker, and most ARNs do: those of the system's inference profiles,
too. What an application's profile or provisioned throughput stands for is not said by its ARN. As clients ask it by Anthropic's bodies, it
is taken for Claude: by Converse, which every model takes, it would lose what only these bodies can say. Other ARNs that name no maker are
of models which are not Claude (imported ones), or of prompts.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html#amazonbedrock-resources-for-iam-policies
"""


class Invoked(Anthropic):
    """See `dialect.Dialect`. Only clients speak it: where a provider is asked so, it passes as it is."""

    name = _ENVELOPE.name
    framing: Framing = EVENT_STREAM
    root = _ENVELOPE.root
    id_header = _ENVELOPE.id_header

    @property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {"invoke_messages": self}

    def read_request(self, body: Extra) -> Conversation:
        conversation = super().read_request({name: value for name, value in body.items() if name not in _UNSAID})
        if given := betas.read_betas(body.get(betas.MEMBER)):
            conversation.extra = {**conversation.extra, betas.MEMBER: given}
        return conversation

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        return InvokedWriter()

    def write_error(self, fault: Fault, request_id: str) -> Extra:
        return _ENVELOPE.write_error(fault, request_id)

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        return _ENVELOPE.stream_error(fault, request_id)


class InvokedWriter(StreamWriter):
    """Writes hub events as Anthropic's, in Amazon's messages."""

    def __init__(self) -> None:
        super().__init__()
        # Its methods call each other, and what is packed must not be packed again.
        self._inner = StreamWriter()
        self.dropped = self._inner.dropped
        self._used = Usage()
        self._failed = False

    def write(self, event: StreamEvent) -> bytes:
        if self._failed:
            return b""
        if type(event) is Error:
            self._failed = True
            return _ENVELOPE.stream_error(event.fault, "")
        if type(event) is Used:
            self._used = event.usage
        return self._packed(self._inner.write(event))

    def end(self) -> bytes:
        return b"" if self._failed else self._packed(self._inner.end())

    def _packed(self, written: bytes) -> bytes:
        read = (SSE.parse(raw) for raw in split(SSE, written)) if written else ()
        return b"".join(event("chunk", msgspec.json.encode({"bytes": b64encode(self._told(one.data)).decode()})) for one in read if one)

    def _told(self, data: bytes) -> bytes:
        """The last event tells what was used, too."""
        if not data.startswith(_STOPPED):
            return data
        counts = {"inputTokenCount": self._used.input, "outputTokenCount": self._used.output}
        return msgspec.json.encode({"type": "message_stop", "amazon-bedrock-invocationMetrics": counts})


def takes_messages(model: str) -> bool:
    """Whether what Bedrock calls `model` may take Anthropic's bodies."""
    return _CLAUDE.search(model) is not None
