"""Where a path alone does not say what is asked: clouds serve models of several makers, or for several things, in one way.

- `vertex`: Anthropic's Messages at Vertex AI. The path names the model, and says whether the answer is streamed; the body has
  `anthropic_version` instead. It becomes what Anthropic itself is asked.
  https://docs.claude.com/en/api/claude-on-vertex-ai
- `predict`: Vertex AI's method for models of all kinds; instances with a `content` want vectors.
  https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
- `invoke`: Bedrock's InvokeModel takes whatever the model's maker does. With `anthropic_version` it is Anthropic's Messages.
  https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extproc.dialects.envelope import open_envelope
from extproc.dialects.splice import refit, set_member
from extproc.errors import Reject
from extproc.values import Endpoint, Request

_COUNT = "count-tokens"
"""Where a model's name stands else: that model is named in the body."""

_MESSAGES = Endpoint("anthropic", "chat")
_COUNTED = Endpoint("anthropic", "count")
_VERSION = "anthropic_version"
_BETAS = "anthropic_beta"
_BETA_HEADER = "anthropic-beta"


_T = TypeVar("_T")


class _Maker(Struct, frozen=True):
    anthropic_version: Any = None
    anthropic_beta: Any = None


class _Instance(Struct, frozen=True):
    content: Any = None


class _Instances(Struct, frozen=True):
    instances: tuple[_Instance, ...] = ()


def settle_meaning(request: Request) -> None:
    """Says by the body what is asked, once. Raises `Reject` 400 for one that is no JSON."""
    match request.endpoint.reading:
        case "vertex":
            _at_home(request)
        case "predict":
            if any(instance.content is not None for instance in _read(request.body, _Instances()).instances):
                request.endpoint = replace(request.endpoint, kind="predict")
        case "invoke":
            if _read(request.body, _Maker()).anthropic_version is not None:
                request.endpoint = replace(request.endpoint, kind="invoke_messages", sdk="invoke")


def _read(body: bytes, nothing: _T) -> _T:
    """What tells; `nothing` where it is not there, or what it is said with is of another type: its reader will say so."""
    try:
        return msgspec.json.decode(body, type=type(nothing))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return nothing


def _at_home(request: Request) -> None:
    """Makes of a request to Vertex AI the one that Anthropic would get: all but a few members at its top stays, to the byte."""
    asked, body = request.endpoint, request.body
    counts = asked.model == _COUNT and not asked.stream
    open_envelope(body)
    maker = _read(body, _Maker())
    unsaid = {_VERSION, _BETAS} if counts else {_VERSION, _BETAS, "model", "stream"}
    try:
        body = refit(body, unsaid, {}, lambda name, text: None)
        if not counts:
            body = set_member(body, "model", msgspec.json.encode(asked.model))
            body = set_member(body, "stream", b"true") if asked.stream else body
    except ValueError as error:
        raise Reject(400, "invalid_json", f"The request body is not valid JSON: {error}.") from None
    request.endpoint = _COUNTED if counts else _MESSAGES
    request.path = request.record.path = "/v1/messages/count_tokens" if counts else "/v1/messages"
    request.replace(body)
    betas = maker.anthropic_beta
    if type(betas) is list and betas and _BETA_HEADER not in request.headers:
        request.set_headers[_BETA_HEADER] = ",".join(beta for beta in betas if type(beta) is str)
