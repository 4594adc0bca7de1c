"""What the gate reads of any JSON inference request, and nothing more: looked through once, typed, in C."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from extproc.dialects.members import Name, by_name, decoded_members, other_model, raw_members
from extproc.errors import Reject

_T = TypeVar("_T")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_TYPES = re.compile(r"Expected (\w+)(?: \| null)?, got (\w+)")
"""How msgspec tells of a wrong type, in the words of Python and its own: https://jcristharif.com/msgspec/usage.html#typed-deserialization"""
_NAMES = {"str": "a string", "object": "an object", "array": "a list", "bool": "a boolean", "int": "an integer", "float": "a number"}
_BYTE = re.compile(r"\(byte (\d+)\)")


class StreamOptions(Struct, frozen=True):
    """OpenAI's `stream_options`."""

    include_usage: bool | None = None


class Sampling(Struct, frozen=True):
    """Where it stands in an object of its own."""

    temperature: float | None = None


class Envelope(Struct, frozen=True):
    """The outside of a request. Absent and null are the same."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    generationConfig: Sampling | None = None  # noqa: N815 - Google's word
    generation_config: Sampling | None = None
    """The same; proto JSON has both spellings."""
    inferenceConfig: Sampling | None = None  # noqa: N815 - Amazon's word
    options: Any = None
    """Ollama's; to other dialects it is a field that nobody knows."""

    @property
    def deterministic(self) -> bool:
        """The same question should have the same answer: it says `temperature: 0`, wherever its dialect has that."""
        config = self.generationConfig or self.generation_config or self.inferenceConfig
        if config is not None:
            return config.temperature == 0
        return self.temperature == 0 or (type(self.options) is dict and _is_zero(self.options.get("temperature")))

    @property
    def include_usage(self) -> bool:
        """The client asked for usage at the end of the stream."""
        return bool(self.stream_options and self.stream_options.include_usage)


def _is_zero(value: Any) -> bool:
    return type(value) in (int, float) and value == 0


_envelope = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode
_READ = frozenset(Envelope.__struct_fields__)


def open_envelope(body: bytes) -> Envelope:
    """Reads `body`. Raises `Reject` 400 that names the wrong field, says where the JSON is malformed, or that it names two models."""
    return _read(body, _outside)


def open_document(body: bytes) -> tuple[dict[str, Any], Envelope]:
    """All of `body`, and its outside: decoded once, where both are needed. Raises as `open_envelope` does."""
    return _read(body, _both)


def _outside(body: bytes) -> Envelope:
    found = _named_once(raw_members(body))
    # What is undecoded is written as it is: the few members that are read, in an object of their own.
    return _envelope(_encode({name: found[name] for name in _READ & found.keys()}))


def _both(body: bytes) -> tuple[dict[str, Any], Envelope]:
    document = _named_once(decoded_members(body))
    return document, msgspec.convert(document, Envelope)


def _named_once(members: dict[Name, Any]) -> dict[str, Any]:
    """The members by their plain names. What is decided on one model must not be served by another."""
    found = by_name(members)
    if (other := other_model(members, found)) is not None:
        message = f"The request names a model twice, the second time as {other!r}; say `model` once."
        raise Reject(400, "invalid_request", message, param="model")
    return found


def _read(body: bytes, decode: Callable[[bytes], _T]) -> _T:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error)) from None
    except RecursionError:
        raise Reject(400, "invalid_json", "the request body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(body, str(error)) from None


def _wrong_type(message: str) -> Reject:
    at = _AT.search(message)
    what = (message[: at.start()] if at else message).replace("`", "")
    if types := _TYPES.fullmatch(what):
        wanted, given = (_NAMES.get(name, name) for name in types.groups())
        what = f"expected {wanted}, got {given}"
    if not at:
        return Reject(400, "invalid_request", f"the request body must be a JSON object: {what}")
    return Reject(400, "invalid_request", f"{at[1]}: {what}", param=at[1])


def _malformed(body: bytes, message: str) -> Reject:
    if not body.strip():
        return Reject(400, "invalid_json", "the request body is empty; a JSON object is wanted")
    found = _BYTE.search(message)
    offset = int(found[1]) if found else len(body)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        message, offset = f"byte {error.start} is not UTF-8", error.start
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + 1
    return Reject(400, "invalid_json", f"the request body is not valid JSON: {message} (line {line}, column {column})")
