"""The field that somebody probably meant who sent one that there is not."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from msgspec import Struct

from extproc.config.nearest import nearest

_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")


def near(message: str, body: Any, where: str) -> str:
    """The end of a sentence about a body of this type, such as `; did you mean `user_id`?`; empty where there is nothing to say.

    `where`: in the body, as msgspec says it: `settings.limits[...]`.
    """
    found = _UNKNOWN.fullmatch(message)
    if found is None:
        return ""
    structs = list(_structs(body))
    for name in filter(None, where.replace("[...]", "").split(".")):
        types = (field.type for struct in structs for field in msgspec.structs.fields(struct) if field.encode_name == name)
        structs = [inner for type in types for inner in _structs(type)]
    names = [field.encode_name for struct in structs for field in msgspec.structs.fields(struct)]
    # `user` for `user_id` looks like little, and is what people write.
    word = found[1]
    meant = next((name for name in names if name in {f"{word}_id", f"{word}_at"}), None) or nearest(word, names)
    return f"; did you mean `{meant}`?" if meant is not None else ""


def _structs(type: Any) -> Iterator[Any]:
    """The structs that a type is, or holds."""
    if inspect.isclass(type) and issubclass(type, Struct):
        yield type
    for inner in get_args(type):
        yield from _structs(inner)
