"""Where a provider departs from its dialect: data that a dialect's writer looks at, so that it knows no provider by name.

Everything here is about what a provider is sent. `None` leaves the decision to the model's name (`models.toml` beside the dialects).
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from extproc.dialects import splice

Count = Annotated[int, Meta(ge=0, le=10_000)]
Field = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="a field of a request: small letters, digits and `_`")]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Choice = Literal["auto", "none", "required", "tool"]

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All words for how much to reason, from the least to the most."""

Task = Literal["query", "document", "similarity", "classification", "clustering", "question_answering", "fact_verification", "code_query"]
"""What vectors may be for."""


FormName = Literal["embed_content", "predict", "rerank_voyage", "rerank_texts", "score", "embed_v1", "embed_prompt"]
"""Forms of operations that a provider may be asked in instead of the usual ones: `dialect.FORMS`."""


class Vectors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a provider of OpenAI's dialect is told about vectors what OpenAI itself has no word for. What has no field cannot be told."""

    dimensions: Field = "dimensions"
    """How many numbers a vector is to have."""
    task: Field | None = None
    """What vectors are for."""
    tasks: dict[Task, str] = {}
    """Words for that."""
    truncate: Field | None = None
    """What of a text that is too long is left out."""
    truncations: dict[Literal["none", "start", "end"], bool | str] = {}
    """Words for that."""
    kind: Field | None = None
    """Which numbers vectors consist of: `int8`, `uint8`, `binary`, `ubinary`."""
    pictures: bool = False
    """Makes vectors of pictures, too: an input may be an object with `text` and `image`."""


_NEUTRAL = {
    "frequency_penalty": 0,
    "logprobs": False,
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "service_tier": "auto",
    "temperature": 1,
    "tool_choice": "auto",
    "top_p": 1,
}
"""What a field says that is as good as nothing: leaving it out changes no answer."""


class Quirks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a provider wants, lacks or refuses, where that is not what its dialect says."""

    refuses: tuple[Field, ...] = ()
    """Fields of a request, at its top, that it answers with an error. They are left out, and named to the caller."""
    rename: dict[Field, Field] = {}
    """Fields that have another name there: the dialect's name, and the provider's."""
    adds: dict[Field, Annotated[str, Meta(max_length=256)]] = {}
    """Fields that a conversation, and the count of its tokens, has at its top there, with their texts, whatever the client says."""
    model_in_body: bool | None = None
    """Where the path of a conversation names the model: whether `model` has to be in the body, too, or must not. Unless given, what
    a client says there does not matter."""
    query: bool = True
    """Takes the query of a client's path, where the client speaks its dialect."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """Where the most tokens of an answer stand; by the model's name unless given."""
    stop_limit: Count | None = None
    """How many stop sequences it takes."""
    user_limit: Count | None = None
    """How many characters the end user's id may have; a longer one is replaced by a digest of it."""
    call_id_length: Count | None = None
    """Ids of tool calls have exactly so many letters and digits."""
    reasoning: Literal["reasoning_effort", "reasoning", "enable_thinking", "thinking", "none"] | None = None
    """The field that asks for reasoning: `reasoning_effort` (a word), `reasoning` (an object with `effort` or `max_tokens`),
    `enable_thinking` (true or false, with `thinking_budget` beside it), `thinking` (an object with `type`, and beside it
    `reasoning_effort` if `efforts` says which), or `none`. Unless given: `reasoning_effort`."""
    efforts: tuple[Effort, ...] = ()
    """Words for how much to reason that it knows; for any other one the nearest below is taken, or else the nearest above. Empty: all."""
    reasoning_back: Field | None = None
    """The field of an assistant's message that takes back what it reasoned before."""
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The most that it promises of an answer's form. What is less than wanted becomes an instruction, and is named to the caller."""
    strict: bool = True
    """Takes `strict` of a tool."""
    tool_choice: tuple[Choice, ...] = ("auto", "none", "required", "tool")
    """What it can be told of the choice of tools; `tool` is one by its name."""
    stream_usage: bool = True
    """Takes `stream_options`. One that does not tells usage in streams anyway, or never."""
    sdk: Literal["", "mistral"] = ""
    """The SDK in whose form of OpenAI's dialect it answers. Nothing between the two is translated; what other providers say is, for
    that SDK, and for OpenAI's own clients a content in parts becomes a text with the thoughts beside it."""
    documents: Literal["file", "document_url"] = "file"
    """How it takes files, in OpenAI's dialect: as `file`, with what is in them, or as `document_url`, which may lead to that as well."""
    developer: bool | None = None
    """Knows the role `developer`; elsewhere it becomes `system`. By the model's name unless given."""
    system_turns: bool = True
    """Takes instructions among the messages, where its dialect and the model do: Anthropic's role `system` after a user's message."""
    memory: bool = True
    """Where it speaks the Responses API: it stores responses, and goes on from them (`store`, `previous_response_id`)."""
    top_k: bool = False
    """Takes `top_k`, which OpenAI's own dialect has not."""
    vectors: Vectors | None = None
    """How it is asked for vectors, where that is not as OpenAI is asked."""
    forms: dict[str, dict[str, FormName]] = {}
    """Operations that it is asked for in another form of its dialect than the usual one: a pattern of model names, and the form. The first
    pattern that fits counts."""


NONE = Quirks()
"""Those of a provider that does what its dialect says."""


def finished(body: dict[str, Any], quirks: Quirks, drop: Callable[[str], None]) -> dict[str, Any]:
    """A written request without what the provider refuses, in the provider's names; `drop` is told the name of each loss.

    A field whose value asks for nothing is left out in silence.
    """
    for field in quirks.refuses:
        if field in body and asks(field, body.pop(field)):
            drop(field)
    if not quirks.rename:
        return body
    return {quirks.rename.get(field, field): value for field, value in body.items()}


def asks(field: str, value: Any) -> bool:
    """Whether a field of that value asks for something."""
    return value is not None and value != _NEUTRAL.get(field, ...)


def addressed(body: dict[str, Any], quirks: Quirks, *, named: bool) -> dict[str, Any]:
    """A written conversation, or the count of one, with what the provider wants beside what its dialect says. `named`: the path that it is
    asked at names the model.
    """
    if named and quirks.model_in_body is False:
        body.pop(_MODEL, None)
    return {**body, **quirks.adds} if quirks.adds else body


_LIMITS = ("max_tokens", "max_completion_tokens")
_STREAM = "stream_options"
_MODEL = "model"


class Refit(NamedTuple):
    """What becomes of fields at the top of a request that is in the provider's own dialect, and that nobody else has to look at."""

    refuses: frozenset[str]
    rename: dict[str, str]
    adds: dict[str, bytes]
    """JSON texts by name."""
    nameless: bool
    """`model` goes where the path names it."""
    needles: tuple[bytes, ...]
    """One of them stands in every body that has such a field."""

    def conversation(self, body: bytes, drop: Callable[[str], None], *, named: bool) -> bytes:
        """A conversation as the provider takes it, every other byte as it was; `drop` is told the name of each loss. `named`: see
        `addressed`.

        Raises `ValueError` if `body` is no JSON object.
        """
        unsaid = {_MODEL} if named and self.nameless else frozenset()
        if unsaid or any(body.find(needle) >= 0 for needle in self.needles):

            def lose(field: str, text: bytes) -> None:
                if field != _STREAM and field not in unsaid and asks(field, msgspec.json.decode(text)):
                    drop(field)

            body = splice.refit(body, self.refuses | unsaid, self.rename, lose)
        return self.counting(body)

    def counting(self, body: bytes) -> bytes:
        """The same of a request to count a conversation's tokens, which loses nothing."""
        for field, text in self.adds.items():
            body = splice.set_member(body, field, text)
        return body


def refit(quirks: Quirks) -> Refit | None:
    """That of a provider with these quirks; None if there is nothing to do."""
    refuses, rename = {*quirks.refuses}, {**quirks.rename}
    if not quirks.stream_usage:
        refuses.add(_STREAM)
    if quirks.max_tokens_field:
        rename |= {field: quirks.max_tokens_field for field in _LIMITS if field != quirks.max_tokens_field and field not in refuses}
    nameless = quirks.model_in_body is False
    if not (refuses or rename or quirks.adds or nameless):
        return None
    adds = {field: msgspec.json.encode(text) for field, text in quirks.adds.items()}
    needles = tuple(f'"{name}"'.encode() for name in (*sorted(refuses), *sorted(rename)))
    return Refit(frozenset(refuses), rename, adds, nameless, needles)


_SIZES = ("dimensions", "output_dimension")


def resized(body: bytes, vectors: Vectors) -> bytes:
    """A request for vectors in the provider's own dialect, every other byte as it was: how many numbers a vector is to have is the one
    thing that everybody has, and calls differently.

    Raises `ValueError` if `body` is no JSON object.
    """
    rename = {name: vectors.dimensions for name in _SIZES if name != vectors.dimensions and body.find(f'"{name}"'.encode()) >= 0}
    return splice.refit(body, frozenset(), rename, lambda name, text: None) if rename else body


def nearest_effort(wanted: str, known: tuple[Effort, ...]) -> str:
    """The word of `known` (of all words, if that is empty) that is nearest to `wanted`: the same, the next below, else the next above;
    empty if there is none.

    To ask for no reasoning is another matter than to ask for little: `none` becomes nothing but itself.
    """
    known = known or EFFORTS
    if wanted in known or wanted not in EFFORTS:
        return wanted if wanted in known else ""
    if wanted == "none":
        return ""
    at = EFFORTS.index(wanted)
    order = (*reversed(EFFORTS[1:at]), *EFFORTS[at + 1 :])
    return next((effort for effort in order if effort in known), "")
