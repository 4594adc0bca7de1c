"""Bedrock's token counting: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html

The conversation stands in `input.converse`, as Converse has it; a body of InvokeModel's (`input.invokeModel`) is in its model's own words.
"""

from extproc.dialects.bedrock import request_read, request_write
from extproc.dialects.bedrock.blocks import NAME
from extproc.dialects.fields import obj, refusing, take_int
from extproc.dialects.hub import Conversation, Count, Extra
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Reject

_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""What a count takes of a request."""


_OTHERS_WORDS = (
    "`input.invokeModel` holds the words of one model, and the provider of this model has other words: only Anthropic's "
    "(`anthropic_version`) are put into them. Send the conversation as `input.converse`."
)


class Counting:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Conversation:
        with refusing():
            either = obj(body.get("input"), "input")
            if "converse" not in either and "invokeModel" in either:
                raise Reject(400, "unsupported_input", _OTHERS_WORDS, param="input.invokeModel")
            given = obj(either.get("converse"), "input.converse")
        return request_read.read_request({**given, "model": body.get("model")})

    def write_request(self, question: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        written = request_write.write_request(question, model)
        if question.dialect != NAME:
            written = {key: written[key] for key in _COUNTED if key in written}
        return {"input": {"converse": written}}

    def read_answer(self, body: Extra) -> Count:
        rest = obj(body, "$")
        tokens = take_int(rest, "inputTokens")
        if tokens is None:
            raise ValueError("inputTokens: expected an integer, got none")
        return Count(dialect=NAME, input=tokens, extra=rest)

    def write_answer(self, answer: Count) -> Extra:
        return {**(answer.extra if answer.dialect == NAME else {}), "inputTokens": answer.input}
