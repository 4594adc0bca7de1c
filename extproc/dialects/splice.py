"""Edits of a JSON body that leave every other byte as it was: the model's name, `stream_options.include_usage`, and members at its top that
a provider refuses or calls otherwise.

msgspec finds the top-level values (as `Raw`, without decoding them) and only their lengths are used: a walk over the members then jumps
from value to value, so a 400 KB prompt is passed over in C. A body with duplicate keys has more values than msgspec tells of; it is
walked token by token. Parsers differ in which of two duplicates they believe, so all are replaced.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]++")
_TOKEN = re.compile(rb'[^"\[\]{}]*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([\[{])|([\]}]))', re.DOTALL)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_key = msgspec.json.Decoder(str)


_MODEL = re.compile(
    rb'"(?:[mM]|\\u00[46][dD])(?:[oO]|\\u00[46][fF])(?:[dD]|\\u00[46]4)(?:[eE]|\\u00[46]5)(?:[lL]|\\u00[46][cC])"[ \t\r\n]*+:'
)
"""A member `model` at any depth, in any case, with or without escapes."""


def other_model(body: bytes) -> str | None:
    """A second top-level member that some parser takes for `model`, as it is spelt; None where there is none, or `body` is no JSON object.

    Parsers differ in which of two they believe, and Go's (Ollama's) takes `Model` for `model`: https://pkg.go.dev/encoding/json#Unmarshal
    """
    first = _MODEL.search(body)
    if first is None or _MODEL.search(body, first.end()) is None:
        return None
    try:
        found = [key for key, *_ in _walk(body) if key.lower() == "model"]
    except ValueError:
        return None
    return next((key for key in found if key != "model"), "model") if len(found) > 1 else None


def set_member(body: bytes, name: str, value: bytes) -> bytes:
    """`body` with the top-level member `name` set to the JSON text `value`; added at the end where there is none.

    Raises `ValueError` if `body` is no JSON object.
    """
    spans = [(begin, end) for key, _, begin, end in _walk(body) if key == name]
    if not spans:
        return _append(body, msgspec.json.encode(name) + b":" + value)
    return _replace(body, [(begin, end, value) for begin, end in spans])


def include_usage(body: bytes) -> bytes:
    """`body` with `stream_options.include_usage` true; other stream options are kept. A `stream_options` of a wrong type is left alone."""
    edits: list[tuple[int, int, bytes]] = []
    found = False
    for key, _, begin, end in _walk(body):
        if key != "stream_options":
            continue
        found = True
        options = body[begin:end]
        if options == b"null":
            edits.append((begin, end, b'{"include_usage":true}'))
        elif options.startswith(b"{"):
            edits.append((begin, end, set_member(options, "include_usage", b"true")))
    if not found:
        return _append(body, b'"stream_options":{"include_usage":true}')
    return _replace(body, edits)


def refit(body: bytes, refuses: Collection[str], rename: Mapping[str, str], lose: Callable[[str, bytes], None]) -> bytes:
    """`body` without the top-level members in `refuses`, and with others by their names in `rename`. A member whose new name is there
    already is left out, too. `lose` is told the name and the JSON text of each that is left out.

    Raises `ValueError` if `body` is no JSON object.
    """
    members = list(_walk(body))
    names = {key for key, *_ in members}
    if not any(name in refuses or name in rename for name in names):
        return body
    parts: list[bytes] = []
    before = 0
    for key, start, begin, end in members:
        name = rename.get(key, key)
        if key in refuses or (name != key and name in names):
            lose(key, body[begin:end])
        else:
            written = body[start:end] if name == key else _renamed(name, body, start, end)
            parts += (body[before:start] if parts else b"", written)
        before = end
    return body[: members[0][1]] + b"".join(parts) + body[members[-1][3] :]


def _renamed(name: str, body: bytes, start: int, end: int) -> bytes:
    token = _STRING.match(body, start)
    return msgspec.json.encode(name) + body[token.end() if token else start : end]


def _replace(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    parts: list[bytes] = []
    position = 0
    for begin, end, value in edits:
        parts += (body[position:begin], value)
        position = end
    parts.append(body[position:])
    return b"".join(parts)


def _append(body: bytes, member: bytes) -> bytes:
    close = body.rindex(b"}")
    inside = body[:close].rstrip(b" \t\r\n")
    comma = b"" if inside.endswith(b"{") else b","
    return inside + comma + member + body[len(inside) :]


def _walk(body: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Each top-level member: key, where it begins, and where its value begins and ends."""
    try:
        members = _members.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    position = _skip(body, _skip(body, 0) + 1)
    while body[position : position + 1] == b'"':
        token = _STRING.match(body, position)
        if token is None:  # pragma: no cover: msgspec has read it, so it is well formed
            raise ValueError("not a JSON object")
        key = token[0][1:-1].decode() if b"\\" not in token[0] else _key.decode(token[0])
        begin = _skip(body, _skip(body, token.end()) + 1)
        raw = bytes(members[key])
        end = begin + len(raw)
        after = _skip(body, end)
        if not body.startswith(raw, begin) or body[after : after + 1] not in (b",", b"}"):
            end = _value_end(body, begin)  # not the value that msgspec kept: the key comes again
            after = _skip(body, end)
        yield key, position, begin, end
        position = _skip(body, after + 1)


def _skip(body: bytes, position: int) -> int:
    match = _SPACE.match(body, position)
    return match.end() if match else position


def _value_end(body: bytes, begin: int) -> int:
    """Where the value that begins here ends."""
    first = body[begin : begin + 1]
    if first not in (b"{", b"["):
        scalar = _STRING.match(body, begin) if first == b'"' else _SCALAR.match(body, begin)
        return scalar.end() if scalar else begin
    depth = 0
    position = begin
    while token := _TOKEN.match(body, position):
        position = token.end()
        if token[2]:
            depth += 1
        elif token[3]:
            depth -= 1
            if not depth:
                break
    return position
