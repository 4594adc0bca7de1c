"""The demo provider's smaller OpenAI endpoints: embeddings, models, and uploads that are echoed as their size and hash."""

import base64
import hashlib
import math
import struct
from typing import Any

from extproc.demo import tokens
from extproc.demo.fields import optional, required
from extproc.demo.prompt import DemoError

_CREATED = 1767225600
"""When the demo's models came into being: 2026-01-01, Unix seconds."""
MODELS = ("demo", "demo-embedding")
"""What the model list names. Any other name is answered as well."""
_MOST = 4096


def embedding_text(body: dict[str, Any]) -> str:
    """The input in which directives are looked for."""
    return "\n".join(str(one) for one in _inputs(body) if isinstance(one, str))


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """`POST /v1/embeddings`. Vectors of length 1, made from a hash of the text: equal texts are equal, others unrelated."""
    model = required(body, "model", str)
    size = optional(body, "dimensions", int) or 256
    if not 1 <= size <= _MOST:
        raise DemoError(400, f"dimensions: must be between 1 and {_MOST}", param="dimensions")
    inputs = _inputs(body)
    count = sum(tokens.count(one) if isinstance(one, str) else len(one) for one in inputs)
    packed = optional(body, "encoding_format", str) == "base64"
    data = [{"object": "embedding", "index": number, "embedding": _vector(one, size, packed)} for number, one in enumerate(inputs)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": count, "total_tokens": count}}


def _inputs(body: dict[str, Any]) -> list[str | list[int]]:
    """The texts, or lists of token ids, that are to be embedded."""
    given = body.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs:
        raise DemoError(400, "input: must be a string or an array that is not empty", param="input")
    if all(isinstance(one, int) for one in inputs):
        inputs = [inputs]
    if not all(isinstance(one, str | list) for one in inputs):
        raise DemoError(400, "input: must hold strings or arrays of tokens", param="input")
    return inputs


def _vector(text: str | list[int], size: int, packed: bool) -> list[float] | str:
    """`packed`: base64 of little-endian 32-bit floats, as OpenAI has it."""
    noise = hashlib.shake_256(repr(text).encode()).digest(size * 2)
    numbers = [value / 32768 for value in struct.unpack(f"<{size}h", noise)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    numbers = [number / length for number in numbers]
    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode() if packed else numbers


def openai_models() -> dict[str, Any]:
    """`GET /v1/models`."""
    return {"object": "list", "data": [openai_model(name) for name in MODELS]}


def openai_model(name: str) -> dict[str, Any]:
    """`GET /v1/models/{name}`."""
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "headgate"}


def anthropic_models() -> dict[str, Any]:
    """`GET /v1/models` of a client that sends `anthropic-version`."""
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in MODELS]
    return {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}


def upload(path: str, content_type: str, body: bytes) -> dict[str, Any]:
    """`POST /v1/files` and `/v1/audio/transcriptions`: says what came, so that a test can tell that all of it did."""
    digest = hashlib.sha256(body).hexdigest()
    seen = {"bytes": len(body), "size": len(body), "sha256": digest, "content_type": content_type}
    if path.endswith("/transcriptions"):
        return {"text": f"The demo provider received {len(body)} bytes.", **seen}
    head = {"id": f"file-demo{digest[:16]}", "object": "file", "created_at": _CREATED, "filename": "demo"}
    return {**head, "purpose": "user_data", "status": "processed", **seen}
