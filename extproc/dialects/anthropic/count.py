"""Anthropic's token counting: https://docs.claude.com/en/api/messages-count-tokens

The request is a message's without what only an answer needs; the answer counts the input, cached or not.
"""

from extproc.dialects.anthropic import request_read, request_write
from extproc.dialects.anthropic.blocks import NAME
from extproc.dialects.counting import read_count
from extproc.dialects.hub import Conversation, Count, Extra
from extproc.dialects.quirks import NONE, Quirks

COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "mcp_servers", "cache_control")
"""What a count takes of a request; it answers 400 to the rest."""


class Counting:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_request(body)

    def write_request(self, question: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        written = request_write.write_request(question, model, quirks)
        return written if question.dialect == NAME else {key: written[key] for key in COUNTED if key in written}

    def read_answer(self, body: Extra) -> Count:
        return read_count(body, NAME)

    def write_answer(self, answer: Count) -> Extra:
        return {**(answer.extra if answer.dialect == NAME else {}), "input_tokens": answer.input}
