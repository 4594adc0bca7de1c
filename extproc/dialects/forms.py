"""Forms that name a model in a field (`multipart/form-data`, RFC 7578): read strictly, and edited in place as bytes.

Audio and images are uploaded so. Wherever the model's name stands, before the file or behind it, is found without a copy of the file. Where
parsers differ, a provider might see another model than the one that was judged here, so what can be read in two ways is refused: a field
twice, a boundary after a bare line feed, text around the parts, folded or repeated part headers, transfer encodings.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from extproc.dialects.envelope import Envelope
from extproc.errors import Reject

MEDIA_TYPE = "multipart/form-data"

_MOST_PARTS = 256
_MOST_HEADERS = 8 * 1024
"""Bytes of one part's headers."""
_LONGEST_FIELD = 1024
"""Bytes of a field that is read."""

# RFC 2046, section 5.1.1: at most 70 characters, and no space at the end.
_PARAMETER = re.compile(r';[ \t]*([a-z0-9_-]+)=(?:"([^"\\\r\n]*)"|([^\s";,]+))[ \t]*', re.IGNORECASE)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
_DISPOSITION = re.compile(
    rb"form-data[ \t]*((?:;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\";]+)[ \t]*)+)", re.IGNORECASE
)
_WORD = re.compile(rb";[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";]+))[ \t]*")
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")


class _Part(NamedTuple):
    """One part of a form."""

    name: bytes
    file: bool
    begin: int
    end: int
    """Of its content."""


def open_form(body: bytes, content_type: str) -> Envelope:
    """What the gate reads of a form: the fields `model` and `stream`. Raises `Reject` 400 where it is none, or can be read in two ways."""
    found = {part.name: part for part in _read(body, content_type) if part.name in (b"model", b"stream")}
    return Envelope(model=_text(body, found.get(b"model")), stream=(_text(body, found.get(b"stream")) or "").lower() in ("true", "1"))


def set_model(body: bytes, content_type: str, model: str) -> bytes:
    """`body` with another model in its field `model`, which is added where there is none; every other byte is as it was.

    Raises as `open_form` does.
    """
    part = next((part for part in _read(body, content_type) if part.name == b"model"), None)
    if part is None:
        field = b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % (boundary(content_type), model.encode())
        return field + body.removeprefix(b"\r\n")
    return b"".join((memoryview(body)[: part.begin], model.encode(), memoryview(body)[part.end :]))


def _refuse(why: str) -> NoReturn:
    raise Reject(400, "invalid_form", f"The request body cannot be read as {MEDIA_TYPE}: {why}.")


def _text(body: bytes, part: _Part | None) -> str | None:
    if part is None:
        return None
    name = part.name.decode()
    if part.file:
        _refuse(f"its field `{name}` is a file")
    if part.end - part.begin > _LONGEST_FIELD:
        _refuse(f"its field `{name}` has {part.end - part.begin} bytes")
    try:
        return body[part.begin : part.end].decode()
    except UnicodeDecodeError:
        _refuse(f"its field `{name}` is not UTF-8")


def boundary(content_type: str) -> bytes:
    """The form's boundary, from its content type. Raises `Reject` 400."""
    media_type, mark, rest = content_type.partition(";")
    if media_type.strip().lower() != MEDIA_TYPE:
        _refuse("its content-type is another")
    found: list[str] = []
    position, parameters = 0, mark + rest
    while position < len(parameters):
        match = _PARAMETER.match(parameters, position)
        if match is None:
            _refuse("the parameters of its content-type are malformed")
        if match[1].lower() == "boundary":
            found.append(match[2] if match[2] is not None else match[3])
        position = match.end()
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        _refuse("its content-type needs one `boundary`, of 1 to 70 characters")
    return found[0].encode()


def _read(body: bytes, content_type: str) -> list[_Part]:
    parts: list[_Part] = []
    seen: set[bytes] = set()
    for begin, end in _pieces(body, b"--" + boundary(content_type)):
        part = _part(body, begin, end)
        if part.name in (b"model", b"stream"):
            if part.name in seen:
                _refuse(f"it has the field `{part.name.decode()}` twice")
            seen.add(part.name)
        parts.append(part)
    return parts


def _pieces(body: bytes, mark: bytes) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends: its headers, an empty line, its content. `mark` begins a boundary's line."""
    position = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(mark, position):
        _refuse("it does not begin with its boundary")
    count = 0
    position += len(mark)
    while not body.startswith(b"--", position):
        if not body.startswith(b"\r\n", position):
            _refuse("a boundary is followed by something else")
        count += 1
        if count > _MOST_PARTS:
            _refuse(f"it has more than {_MOST_PARTS} parts")
        begin = position + 2
        # The line that ends the boundary may be the one before the next: an empty part, which has no headers either.
        end = _next(body, mark, position)
        yield begin, end
        position = end + 2 + len(mark)
    if body[position + 2 :] not in (b"", b"\r\n"):
        _refuse("something follows its last boundary")
    if not count:
        _refuse("it is empty")


def _next(body: bytes, mark: bytes, position: int) -> int:
    """Where the part ends that begins here: before the line break of the next boundary."""
    while (at := body.find(mark, position)) >= 0:
        if body.startswith(b"\r\n", at - 2):
            return at - 2
        if body[at - 1 : at] in (b"\r", b"\n"):
            _refuse("a boundary does not follow CR LF")
        position = at + 1
    _refuse("its last boundary is missing")


def _part(body: bytes, begin: int, end: int) -> _Part:
    close = body.find(b"\r\n\r\n", begin, min(end, begin + _MOST_HEADERS))
    if close < 0:
        _refuse(f"a part has no headers, or more than {_MOST_HEADERS} bytes of them")
    disposition = b""
    names: set[bytes] = set()
    for line in body[begin:close].split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            _refuse("a part has a malformed header")
        name, value = header[1].lower(), header[2].strip()
        if name in names:
            _refuse(f"a part has the header `{name.decode()}` twice")
        names.add(name)
        if name == b"content-disposition":
            disposition = value
        elif name == b"content-transfer-encoding" and value.lower() not in _PLAIN_ENCODINGS:
            _refuse("a part has a content-transfer-encoding")
    field, file = _field(disposition)
    return _Part(field, file, close + 4, end)


def _field(disposition: bytes) -> tuple[bytes, bool]:
    """The name of a part, and whether it is a file."""
    whole = _DISPOSITION.fullmatch(disposition)
    if whole is None:
        _refuse("a part has no well-formed `content-disposition: form-data`")
    words: dict[bytes, bytes] = {}
    for word in _WORD.finditer(whole[1]):
        name = word[1].lower()
        if name in words or name == b"name*":
            _refuse("a part's content-disposition can be read in two ways")
        words[name] = word[2] if word[2] is not None else word[3]
    name = words.get(b"name", b"")
    if not name or b"\\" in name:
        _refuse("a part has no name, or one with a backslash")
    return name, b"filename" in words or b"filename*" in words
