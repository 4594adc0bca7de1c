"""Edits of a JSON body that leave every other byte as it was: the model's name, `stream_options.include_usage`, and members at its top that
a provider refuses or calls otherwise.

msgspec finds the top-level values (as `Raw`, without decoding them) and only their lengths are used: a walk over the members then jumps
from value to value, so a 400 KB prompt is passed over in C. Parsers differ in which of two members of one name they believe, so all are
replaced.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from extproc.dialects.members import raw_members

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def set_member(body: bytes, name: str, value: bytes) -> bytes:
    """`body` with the top-level member `name` set to the JSON text `value`; added at the end where there is none.

    Raises `ValueError` if `body` is no JSON object.
    """
    spans = [(begin, end) for key, _, begin, end in _walk(body) if key == name]
    if not spans:
        return _append(body, msgspec.json.encode(name) + b":" + value)
    return _replace(body, [(begin, end, value) for begin, end in spans])


def add_members(body: bytes, members: Mapping[str, Any]) -> bytes:
    """`body`, a JSON object that is known to have none of `members`, with them at its end: it is not looked through again."""
    return _append(body, msgspec.json.encode(members)[1:-1])


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
        members = raw_members(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    position = _skip(body, 0) + 1
    for name, value in members.items():
        start = _skip(body, position)
        token = _STRING.match(body, start)
        if token is None:  # pragma: no cover: msgspec has read it, so it is well formed
            raise ValueError("not a JSON object")
        begin = _skip(body, _skip(body, token.end()) + 1)
        end = begin + len(memoryview(value))
        yield str(name), start, begin, end
        position = _skip(body, end) + 1


def _skip(body: bytes, position: int) -> int:
    match = _SPACE.match(body, position)
    return match.end() if match else position
