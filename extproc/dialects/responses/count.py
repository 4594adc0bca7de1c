"""Counting of input tokens: https://platform.openai.com/docs/api-reference/responses/input-tokens

The request is a response's without what only an answer needs.
"""

from extproc.dialects.counting import read_count
from extproc.dialects.hub import Conversation, Count, Extra
from extproc.dialects.quirks import NONE, Quirks
from extproc.dialects.responses import request_read, request_write
from extproc.dialects.responses.parts import NAME

_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text")
"""What a count takes of a request, beside what the provider remembers."""

_KIND = "response.input_tokens"


class Counting:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, question: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        written = request_write.write_request(question, model, quirks)
        return written if question.dialect == NAME else {key: written[key] for key in _COUNTED if key in written}

    def read_answer(self, body: Extra) -> Count:
        return read_count(body, NAME)

    def write_answer(self, answer: Count) -> Extra:
        return {"object": _KIND, **(answer.extra if answer.dialect == NAME else {}), "input_tokens": answer.input}
