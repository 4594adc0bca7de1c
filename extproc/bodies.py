"""Where a path alone does not say what is asked: clouds serve models of several makers, or for several things, in one way.

- `vertex`: Anthropic's Messages at Vertex AI. The path names the model, and says whether the answer is streamed; the body has
  `anthropic_version` instead. It becomes what Anthropic itself is asked.
  https://docs.claude.com/en/api/claude-on-vertex-ai
- `predict`: Vertex AI's method for models of all kinds; instances with a `content` want vectors.
  https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
- `invoke`: Bedrock's InvokeModel takes whatever the model's maker does. With `anthropic_version` it is Anthropic's Messages; by their words
  requests for vectors are known. The rest is for Bedrock alone.
  https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
- `count`: Bedrock's CountTokens takes what Converse does, or what InvokeModel does, in base64.
  https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html
"""

from typing import TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from extproc.aside import is_bulky
from extproc.dialects import INVOKE_COUNT, INVOKE_MESSAGES, betas, inside
from extproc.dialects.envelope import open_envelope
from extproc.dialects.members import Name
from extproc.dialects.splice import add_members, refit
from extproc.errors import Reject
from extproc.values import Endpoint, Request

_COUNT = "count-tokens"
"""Where a model's name stands else: that model is named in the body."""

_MESSAGES = Endpoint("anthropic", "chat")
_COUNTED = Endpoint("anthropic", "count")
_READ = frozenset({"model", "stream"})
_COUNTING = frozenset({"anthropic_version", betas.MEMBER})
_ASKING = _COUNTING | _READ
"""What of a body at Vertex AI is no member of Anthropic's own, or is said by the path."""


_T = TypeVar("_T")

# Nobody has asked yet whether the body is bulky: nothing of it is decoded here that may be large.


class _Maker(Struct, frozen=True):
    anthropic_version: Raw = Raw()


class _Invoked(Struct, frozen=True):
    """What tells whose words they are: Titan's, Nova's and Cohere's for vectors, and Titan's for texts."""

    anthropic_version: Raw = Raw()
    inputText: Raw = Raw()  # noqa: N815 - as it is written there
    inputImage: Raw = Raw()  # noqa: N815
    textGenerationConfig: Raw = Raw()  # noqa: N815
    singleEmbeddingParams: Raw = Raw()  # noqa: N815
    texts: Raw = Raw()
    images: Raw = Raw()
    inputs: Raw = Raw()

    @property
    def wants_vectors(self) -> bool:
        told = (self.inputText, self.inputImage, self.singleEmbeddingParams, self.texts, self.images, self.inputs)
        return any(map(_is_said, told)) and not _is_said(self.textGenerationConfig)


class _Whole(Struct, frozen=True):
    body: str = ""


class _Either(Struct, frozen=True):
    invokeModel: _Whole = _Whole()  # noqa: N815


class _Counted(Struct, frozen=True):
    input: _Either = _Either()


class _Instance(Struct, frozen=True):
    content: Raw = Raw()


class _First(Struct, frozen=True, array_like=True):
    """The first of an array; of the others, which msgspec passes over, there may be millions."""

    instance: _Instance = _Instance()


class _Instances(Struct, frozen=True):
    instances: _First = _First()


def settle_meaning(request: Request) -> None:
    """Says by the body what is asked, once. Raises `Reject` 400 for one that is no JSON."""
    match request.endpoint.reading:
        case "vertex":
            _at_home(request)
        case "predict":
            if _is_said(_read(request.body, _Instances()).instances.instance.content):
                request.endpoint = replace(request.endpoint, kind="predict")
        case "invoke":
            _ = request.envelope  # tells what is wrong with it
            said = _read(request.body, _Invoked())
            if _is_said(said.anthropic_version):
                request.endpoint = replace(request.endpoint, kind=INVOKE_MESSAGES)
            elif not said.wants_vectors:
                request.endpoint = replace(request.endpoint, kind="json")
        case "count":
            asked = invoked(request.body)
            if _is_said(_read(asked, _Maker()).anthropic_version):
                request.endpoint = replace(request.endpoint, kind=INVOKE_COUNT)
                request.bulky = is_bulky(asked)


def invoked(body: bytes) -> bytes:
    """The body of InvokeModel's whose tokens are asked for; empty where there is none. Its objects are not to be seen from outside."""
    return inside(_read(body, _Counted()).input.invokeModel.body)


def _read(body: bytes, nothing: _T) -> _T:
    """What tells; `nothing` where it is not there, or what it is said with is of another type: its reader will say so."""
    try:
        return msgspec.json.decode(body, type=type(nothing))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return nothing


def _is_said(value: Raw) -> bool:
    """It is there, and not null."""
    return bytes(memoryview(value)[:4]) not in (b"", b"null")


def _at_home(request: Request) -> None:
    """Makes of a request to Vertex AI the one that Anthropic would get: all but a few members at its top stays, to the byte."""
    asked, body = request.endpoint, request.body
    counts = asked.model == _COUNT and not asked.stream
    said: list[tuple[str, bytes]] = []
    try:
        body = refit(body, _COUNTING if counts else _ASKING, {}, lambda name, text: said.append((name, text)))
    except ValueError as error:
        open_envelope(body)  # tells what is wrong with it
        raise Reject(400, "invalid_json", f"The request body is not valid JSON: {error}.") from None
    # What is wrong is no better for being left out.
    open_envelope(msgspec.json.encode({Name(name): Raw(text) for name, text in said if name in _READ}))
    named = betas.betas_in(dict(said).get(betas.MEMBER, b"null"))
    if not counts:
        body = add_members(body, {"model": asked.model, **({"stream": True} if asked.stream else {})})
    request.endpoint = _COUNTED if counts else _MESSAGES
    request.path = request.record.path = "/v1/messages/count_tokens" if counts else "/v1/messages"
    request.replace(body)
    if named:
        request.betas = betas.joined(request.headers.get(betas.HEADER, ""), named)
