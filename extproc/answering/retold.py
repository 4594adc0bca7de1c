"""A whole answer in another dialect: what can be done beside the worker."""

import msgspec
from msgspec import Struct

from extproc.answering.credential import is_ours, refused
from extproc.answering.terms import Terms
from extproc.dialects import DIALECTS, heard, trouble, vectors
from extproc.dialects.fields import FieldError, length
from extproc.dialects.hub import (
    Answer,
    Block,
    Extra,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from extproc.errors import Fault
from extproc.usage import Usage


class Retold(Struct, frozen=True, tag=True):
    """A whole answer, translated."""

    body: bytes
    status: int
    error: str
    usage: Usage | None
    answered: str
    wrong: str = ""
    """Why it is an error instead, in words that may be logged."""
    text: int = 0
    """See `Answering.text`; counted where nothing else is."""
    retry_after: float | None = None
    """Seconds, where it is an error."""
    dropped: list[str] = []
    """What the client's dialect has no words for, in the hub's."""


class Retell(Struct, frozen=True, tag=True):
    """The job to translate a whole answer, see `aside`: `Terms` in plain values."""

    client: str
    provider: str
    kind: str
    form: str
    provider_name: str
    request_id: str
    asked: Extra
    model: str
    status: int
    counted: Usage | None = None
    id: str = ""
    sdk: str = ""

    def work(self, body: bytes) -> Retold:
        """Does it."""
        terms = Terms(
            client=heard(self.client, "", self.kind, self.sdk), provider=DIALECTS[self.provider], kind=self.kind, form=self.form,
            provider_name=self.provider_name, request_id=self.request_id, same=False, raw=False, include_usage=False, hide_usage=False,
            asked=self.asked, most=len(body), model=self.model, id=self.id, sdk=self.sdk,
        )  # fmt: skip
        return retell(body, self.status, terms, self.counted)


def retell(body: bytes, status: int, terms: Terms, counted: Usage | None = None) -> Retold:
    """Translates a whole answer; one that is none becomes an error. `counted`: what its head says that it cost."""
    try:
        document = msgspec.json.decode(body)
        if trouble.may_be(document) and trouble.is_suspect(body) and (fault := trouble.in_answer(body, terms.provider)):
            return failed_whole(body, fault, terms, f"an error ({fault.code[:50]})")
        answer = terms.provider.operations[terms.form].read_answer(document)
        answer.asked = terms.asked
        if type(answer) is not Answer:
            vectors.check(answer)
        elif word := trouble.empty(answer):
            raise EmptyAnswer(word)
        told = getattr(answer, "model", "")
        terms.name(answer)
        if counted and getattr(answer, "usage", counted) is None:
            answer.usage = counted
        written = terms.client.operations[terms.kind].write_answer(answer)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        fault = unusable(terms, in_full(error, body))
        return failed_whole(body, fault, terms, in_plain_words(error, body), counted)
    usage = getattr(answer, "usage", None)
    text = size_of(answer) if usage is None and type(answer) is Answer else 0
    return Retold(msgspec.json.encode(written), status, "", usage, told, text=text, dropped=getattr(answer, "dropped", []))


def unusable(terms: Terms, why: str) -> Fault:
    """What cannot be read as an answer."""
    return Fault(502, "bad_provider_answer", f"The provider {terms.provider_name} sent no answer{why and f': {why}'}.")


def unusable_in_log(terms: Terms, why: str) -> str:
    """The same for the log, with the model that was asked."""
    return f"sent no answer{terms.model and f' of the model {terms.model}'}{why and f': {why}'}"


class EmptyAnswer(ValueError):
    """The model failed, and there is nothing that it said before."""

    def __init__(self, word: str) -> None:
        super().__init__(f"the model failed, and said nothing: {word[:500]}")


def failed_whole(body: bytes, fault: Fault, terms: Terms, wrong: str, counted: Usage | None = None) -> Retold:
    """An answer that is an error. What it cost is told all the same."""
    if is_ours(fault.status, fault):
        fault = refused(terms, fault.status, fault.message)
    usage, answered = terms.provider.usage(body)
    return Retold(terms.error(fault), fault.status, fault.code, usage or counted, answered, wrong, retry_after=fault.retry_after)


def size_of(answer: Answer) -> int:
    """UTF-8 bytes of what an answer says."""
    return sum(said(block) for choice in answer.choices for block in choice.blocks)


def said(block: Block) -> int:
    """UTF-8 bytes of what a block says."""
    if isinstance(block, Text | Reasoning | Refusal):
        return length(block.text)
    return length(block.arguments) if isinstance(block, ToolCall) else 0


def in_full(error: Exception, body: bytes) -> str:
    """What is wrong with a whole answer."""
    if not body.strip():
        return "the body is empty"
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        return "the body is cut short" if "truncated" in str(error) else "the body is not JSON"
    return str(error)


def in_plain_words(error: Exception, body: bytes) -> str:
    """The same without the words of a provider that tells a failure of its own: they may repeat a caller's."""
    words = in_full(error, body)
    return words if isinstance(error, FieldError | msgspec.DecodeError | RecursionError) else words.partition(":")[0]
