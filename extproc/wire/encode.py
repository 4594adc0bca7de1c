"""Writing protobuf by hand: tags and lengths in front of bytes that are there already.

Generated code (upb) builds an object for every header and every entry of a map before it writes the first byte, and takes several times
as long for that as this takes for all (`bench/engine.py`, "request body"). The messages are few and small, so `outgoing` can still be read
next to `ext_proc.proto`; the tests read what it writes with generated code.

Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache


class _Varints(dict[int, bytes]):
    """Numbers, not negative, as varints; made when they are asked for. Small ones are kept: lengths."""

    def __missing__(self, number: int) -> bytes:
        out, rest = bytearray(), number
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
        made = bytes(out)
        if number < 1 << 14:
            self[number] = made
        return made


_varint = _Varints()


def tag(number: int) -> bytes:
    """The tag of a field that holds bytes, text or a message."""
    return _varint[number << 3 | 2]


def field(tag: bytes, content: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return tag + _varint[len(content)] + content


def length(tag: bytes, size: int) -> bytes:
    """What stands before the content of such a field, which has `size` bytes."""
    return tag + _varint[size]


def number(at: int, value: int) -> bytes:
    """A field that holds a number, not negative, or a flag."""
    return _varint[at << 3] + _varint[value]


_ONE, _TWO, _THREE = tag(1), tag(2), tag(3)
_STRUCT = tag(5)


# HeaderMutation and HeaderValueOption. Most headers that are set are the same with every request: a provider's name, its credential.


def mutation(headers: Mapping[str, str], remove: Iterable[str]) -> bytes:
    """A `HeaderMutation`."""
    return b"".join([_header(name, value) for name, value in headers.items()]) + _removals(tuple(remove))


@lru_cache(maxsize=4096)
def _header(name: str, value: str) -> bytes:
    """An entry of `HeaderMutation.set_headers`. Envoy reads raw_value only, and always overwrites."""
    pair = field(_ONE, name.encode("utf-8", "surrogateescape")) + field(_THREE, value.encode("utf-8", "surrogateescape"))
    return field(_ONE, field(_ONE, pair))


@lru_cache(maxsize=512)
def _removals(names: tuple[str, ...]) -> bytes:
    """`HeaderMutation.remove_headers`."""
    return b"".join([field(_TWO, name.encode("utf-8", "surrogateescape")) for name in names])


# google.protobuf.Struct: a map, whose entries are messages with the name at 1 and a `Value` at 2.

_SHORT = 32


def struct(spaces: Mapping[str, Mapping[str, str | bytes]]) -> bytes:
    """A `Struct` of structs of text, or of its UTF-8. Short text is remembered: a dialect, a switch."""
    return b"".join([space(name, fields(texts)) for name, texts in spaces.items()])


def space(name: str, content: bytes) -> bytes:
    """An entry of a `Struct` that is a `Struct` itself."""
    return _entry(name, _STRUCT, content)


def fields(texts: Mapping[str, str | bytes]) -> bytes:
    """A `Struct` of text."""
    return b"".join([_short(name, text) if len(text) <= _SHORT else entry(name, text) for name, text in texts.items()])


def entry(name: str, text: str | bytes) -> bytes:
    """An entry of a `Struct` that is text."""
    return _entry(name, _THREE, text)


@lru_cache(maxsize=1024)
def _short(name: str, text: str | bytes) -> bytes:
    return _entry(name, _THREE, text)


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    return field(_ONE, name.encode())


def _entry(name: str, kind: bytes, content: str | bytes) -> bytes:
    """`kind`: the tag of the `Value`'s field that holds `content`."""
    if isinstance(content, str):
        content = content.encode()
    key = _name(name)
    held = kind + _varint[len(content)]
    size = len(held) + len(content)
    value = _TWO + _varint[size]
    return b"".join((_ONE, _varint[len(key) + len(value) + size], key, value, held, content))
