"""Ollama's other form of a conversation: /api/generate, a prompt in and a `response` out."""

from extproc.dialects.hub import Answer, Conversation, Extra
from extproc.dialects.ollama import answer, request_read, request_write
from extproc.dialects.ollama.parts import ASKED
from extproc.dialects.quirks import NONE, Quirks


class Generate:
    """See `dialect.Operation`. Its streams are written as those of a chat are: by what was asked."""

    def read_request(self, body: Extra) -> Conversation:
        return request_read.read_generate(body)

    def write_request(self, conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        return request_write.write_generate(conversation, model, quirks)

    def read_answer(self, body: Extra) -> Answer:
        return answer.read_answer(body, answer.GENERATE)

    def write_answer(self, given: Answer) -> Extra:
        given.asked = ASKED
        return answer.write_answer(given)
