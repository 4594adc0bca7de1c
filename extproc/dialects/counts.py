"""Reading counts of tokens: whole numbers, but a few providers tell averages, or write 12 as 12.0.

So what does not fit is read once more with the nearest whole numbers. Most fits at once, and costs nothing more.
"""

from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct, structs

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
            exact: Any = kind
            return _rounded(msgspec.convert(value, _loose(exact), strict=False), kind)
        except msgspec.ValidationError:
            return None


def decode(body: bytes, decoder: msgspec.json.Decoder[Counts]) -> Counts | None:
    """A JSON text that holds counts; None if it cannot be read. Of what the decoder does not know nothing is made, however much it is."""
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            kind: Any = decoder.type
            return _rounded(_decoder(kind).decode(body), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_loose(kind), strict=False)


@cache
def _loose(kind: Any) -> Any:
    """The same type, for any numbers where it has whole ones."""
    if kind is int:
        return int | float
    if isinstance(kind, type) and issubclass(kind, Struct):
        return msgspec.defstruct(kind.__name__, [_loose_field(field) for field in structs.fields(kind)])
    if get_origin(kind) in {UnionType, Union}:
        return reduce(or_, map(_loose, get_args(kind)))
    return list[_loose(*get_args(kind))] if get_origin(kind) is list else kind  # type: ignore[misc]


def _loose_field(field: structs.FieldInfo) -> tuple[str, Any, Any]:
    given: Any = {"default": field.default, "default_factory": field.default_factory}
    return field.name, _loose(field.type), msgspec.field(**given, name=field.encode_name)


def _rounded(loose: Any, kind: type[Counts]) -> Counts:
    return msgspec.convert(_whole(loose), kind, from_attributes=True)


def _whole(value: Any) -> Any:
    """Counts as whole numbers, the nearest ones. What nobody can have counted is told by none."""
    if type(value) is float:
        return round(value) if abs(value) < _MOST else None
    if isinstance(value, Struct):
        for field in value.__struct_fields__:
            setattr(value, field, _whole(getattr(value, field)))
    return [_whole(inner) for inner in value] if type(value) is list else value
