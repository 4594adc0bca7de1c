"""Gemini's token counting: https://ai.google.dev/api/tokens

The request is a conversation's. The Gemini API takes no more than its contents, and all of it as `generateContentRequest`; Vertex takes the
fields themselves. Written is the Gemini API's form, and for contents alone what both take.
"""

from extproc.dialects.fields import obj, refusing, take_int
from extproc.dialects.gemini import request_read, request_write
from extproc.dialects.gemini.names import members, note, own
from extproc.dialects.gemini.parts import NAME
from extproc.dialects.hub import Conversation, Count, Extra
from extproc.dialects.quirks import NONE, Quirks

_WHOLE = "generateContentRequest"
_COUNTED = ("contents", "systemInstruction", "tools", "toolConfig")


class Counting:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Conversation:
        with refusing():
            names: dict[str, str] = {}
            outside = members(body, "$", names)
            if outside.get(_WHOLE) is None:
                return request_read.read_request(body)
            whole = obj(outside.pop(_WHOLE), _WHOLE)
        named = whole.pop("model", None)
        conversation = request_read.read_request({**whole, "model": outside.get("model")})
        conversation.extra = note(conversation.extra, whole=names.get(_WHOLE, _WHOLE), named=named)
        return conversation

    def write_request(self, question: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        written = request_write.write_request(question, model, quirks)
        if question.dialect != NAME:
            kept = {key: written[key] for key in _COUNTED if key in written}
            return kept if len(kept) == 1 else {_WHOLE: {"model": f"models/{model}", **kept}}
        field = own(question.extra, "whole")
        if field is None:
            return written
        named = own(question.extra, "named")
        return {field: written if named is None else {"model": named, **written}}

    def read_answer(self, body: Extra) -> Count:
        rest = obj(body, "$")
        tokens = take_int(rest, "totalTokens")
        if tokens is None:
            raise ValueError("totalTokens: expected an integer, got none")
        return Count(dialect=NAME, input=tokens, cached=take_int(rest, "cachedContentTokenCount"), extra=rest)

    def write_answer(self, answer: Count) -> Extra:
        written: Extra = {**(answer.extra if answer.dialect == NAME else {}), "totalTokens": answer.input}
        return written if answer.cached is None else {**written, "cachedContentTokenCount": answer.cached}
