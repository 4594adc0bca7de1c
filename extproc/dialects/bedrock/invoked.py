"""Anthropic's Messages as Bedrock's InvokeModel has them: Anthropic's bodies, with `anthropic_version` for `model` and `stream`.

Streams are Amazon's, whose messages hold Anthropic's events, and errors are Bedrock's.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html

Their tokens are counted by CountTokens, which has the body in base64:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelTokensRequest.html
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import msgspec

from extproc.dialects import betas
from extproc.dialects.bedrock import Bedrock, count
from extproc.dialects.bedrock.stream_write import fail
from extproc.dialects.dialect import Dialect, Operation, StreamWriter
from extproc.dialects.eventstream import event
from extproc.dialects.fields import obj, refusing
from extproc.dialects.framing import split
from extproc.dialects.hub import Answer, Conversation, Error, Extra, StreamEvent, Used
from extproc.errors import Reject
from extproc.usage import Usage

INVOKE_MESSAGES, INVOKE_COUNT = "invoke_messages", "invoke_count"
"""What is asked for so, see `dialect.FORMS`: an answer, or what the body counts."""
INVOKED = frozenset({INVOKE_MESSAGES, INVOKE_COUNT})

_UNSAID = ("anthropic_version", betas.MEMBER)
_STOPPED = b'{"type":"message_stop"'
_CLAUDE = re.compile(r"anthropic\.|^arn:[^/]*:(application-inference-profile|provisioned-model)/")
"""What Bedrock calls models that take Anthropic's bodies. Ids name the maker, and most ARNs do: those of the system's inference profiles,
too. What an application's profile or provisioned throughput stands for is not said by its ARN. As clients ask it by Anthropic's bodies, it
is taken for Claude: by Converse, which every model takes, it would lose what only these bodies can say. Other ARNs that name no maker are
of models which are not Claude (imported ones), or of prompts.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html#amazonbedrock-resources-for-iam-policies
"""


class Invoked(Bedrock):
    """See `dialect.Dialect`. Only clients speak it: where a provider is asked so, it passes as it is."""

    def __init__(self, maker: Dialect, counted: Iterable[str]) -> None:
        """`maker`: the dialect of the model's maker, whose bodies they are. `counted`: what a count takes of them."""
        self._maker = maker
        self._counting = Counting(self, counted)

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {INVOKE_MESSAGES: self, INVOKE_COUNT: self._counting}

    def read_request(self, body: Extra) -> Conversation:
        conversation = self._maker.read_request({name: value for name, value in body.items() if name not in _UNSAID})
        if given := betas.read_betas(body.get(betas.MEMBER)):
            conversation.extra = {**conversation.extra, betas.MEMBER: given}
        return conversation

    def write_answer(self, given: Answer) -> Extra:
        return self._maker.write_answer(given)

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        return InvokedWriter(self._maker, include_usage=include_usage)


class Counting(count.Counting):
    """See `dialect.Operation`. The answer is Bedrock's."""

    def __init__(self, invoked: Invoked, counted: Iterable[str]) -> None:
        """`invoked`: who reads what is to be counted; `counted`: of what members."""
        self._invoked = invoked
        self._counted = frozenset({*counted, betas.MEMBER})

    def read_request(self, body: Extra) -> Conversation:
        with refusing():
            given = obj(obj(body.get("input"), "input").get("invokeModel"), "input.invokeModel").get("body")
        try:
            with refusing():
                asked = obj(msgspec.json.decode(inside(given) if type(given) is str else b""), "input.invokeModel.body")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"`input.invokeModel.body` is not valid JSON, in base64: {error}."
            raise Reject(400, "invalid_json", message, param="input.invokeModel.body") from None
        # It is a whole request's, and who counts refuses what only an answer needs.
        kept = {name: value for name, value in asked.items() if name in self._counted}
        return self._invoked.read_request({**kept, "model": body.get("model")})


def inside(text: str) -> bytes:
    """What a text in base64 holds; nothing where it is none."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


class InvokedWriter:
    """Writes hub events as their maker's, in Amazon's messages."""

    def __init__(self, maker: Dialect, *, include_usage: bool) -> None:
        self._framing = maker.framing
        self._inner = maker.stream_writer(include_usage=include_usage)
        self._used = Usage()
        self._failed = False

    @property
    def keeps_words(self) -> bool:
        """See `dialect.StreamWriter`."""
        return self._inner.keeps_words

    def write(self, event: StreamEvent) -> bytes:
        if self._failed:
            return b""
        if type(event) is Error:
            self._failed = True
            return fail(event.fault, event.request)
        if type(event) is Used:
            self._used = event.usage
        return self._packed(self._inner.write(event))

    def end(self) -> bytes:
        return b"" if self._failed else self._packed(self._inner.end())

    def _packed(self, written: bytes) -> bytes:
        read = (self._framing.parse(raw) for raw in split(self._framing, written)) if written else ()
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
