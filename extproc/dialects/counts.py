"""Reading counts of tokens: whole numbers, but a few providers tell averages, or write 12 as 12.0.

So what does not fit is read once more with the nearest whole numbers. Most fits at once, and costs nothing more.
"""

from typing import Any, TypeVar

import msgspec

Counts = TypeVar("Counts")

_MOST = 2**53
"""Beyond that, a number of JSON is not exact (RFC 8259, section 6)."""


def read(value: Any, kind: type[Counts]) -> Counts | None:
    """A decoded object of counts as a struct; None if it has the wrong shape."""
    if type(value) is not dict:
        return None
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        try:
            return msgspec.convert(_nearest(value, kind), kind, strict=False)
        except msgspec.ValidationError:
            return None


def decode(body: bytes, decoder: msgspec.json.Decoder[Counts]) -> Counts | None:
    """A JSON text that holds counts; None if it cannot be read. Of what the decoder does not know nothing is looked at."""
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            return msgspec.convert(_nearest(msgspec.json.decode(body), decoder.type), decoder.type, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _nearest(value: Any, kind: type[Counts]) -> Any:
    """What a struct takes of an object, or all of something else, in whole numbers."""
    fields = getattr(kind, "__struct_fields__", None)
    if type(value) is not dict or fields is None:
        return whole(value)
    return {field: whole(value[field]) for field in fields if field in value}


def whole(value: Any) -> Any:
    """Counts as whole numbers, the nearest ones, wherever they stand. What nobody can have counted is told by none."""
    if type(value) is float:
        return round(value) if abs(value) < _MOST else None
    if type(value) is dict:
        return {key: whole(inner) for key, inner in value.items()}
    return [whole(inner) for inner in value] if type(value) is list else value
