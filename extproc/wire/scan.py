"""Reading Envoy's messages byte by byte, where they have the form that Envoy gives them; whatever has another is `Unusual`.

Generated code (upb) reads a message of 29 headers in a quarter of the time that a Python loop takes over its bytes, but takes twice as long
as the loop to hand them over as Python objects. Most headers of a client are those of its last request, so short ones are remembered as
they stand (`bench/engine.py`, "request headers"). What this does not read, `incoming` asks upb; the tests compare the two.

Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/. A tag is `field number << 3 | wire type`.
"""

TEXT_AT_1 = 0x0A
"""The tag of field 1, where that is text, bytes or a message."""
FLAG_AT_2 = 0x10
FLAG_AT_3 = 0x18
BYTES_AT_3 = 0x1A

Pair = tuple[str, str]


class Unusual(Exception):
    """Not in the one form that is read here. It may be right all the same."""


class _Long(Exception):
    """A header of 128 bytes or more: its length has two bytes."""


def length(data: bytes, at: int) -> tuple[int, int]:
    """The length (a varint) that begins at `at`, and where what it is the length of begins."""
    value = data[at]
    if value < 128:
        return value, at + 1
    more = data[at + 1]
    value = value & 127 | (more & 127) << 7
    if more < 128:
        return value, at + 2
    for shift in (14, 21, 28):
        at += 1
        more = data[at + 1]
        value |= (more & 127) << shift
        if more < 128:
            return value, at + 2
    raise Unusual


def flag(data: bytes, at: int, stop: int, tag: int) -> bool:
    """The flag that fills `data` from `at` to `stop`."""
    if at + 2 == stop and data[at] == tag and data[at + 1] <= 1:
        return data[at + 1] == 1
    raise Unusual


def headers(data: bytes, at: int, stop: int) -> list[Pair]:
    """The headers of a `HeaderMap` that stands between `at` and `stop`. Raises `Unusual` or `IndexError`."""
    pairs: list[Pair] = []
    add, known = pairs.append, _known
    while at < stop:
        try:
            while at < stop:
                end = at + 2 + data[at + 1]
                add(known[data[at:end]])
                at = end
        except _Long:
            pair, at = _long(data, at)
            add(pair)
    if at != stop:
        raise Unusual
    return pairs


class _Known(dict[bytes, Pair]):
    """Headers by their bytes: an entry of a `HeaderMap` with its tag and length."""

    short = 48
    """Bytes of a header that is remembered: names, versions, languages, but no key of a usual length, and no request id."""
    most = 4096
    """Headers that are remembered; then all of them are forgotten, and soon learnt again."""

    def __missing__(self, entry: bytes) -> Pair:
        size = entry[1]
        if size > 127:
            raise _Long
        at = 4 + entry[3]
        if len(entry) != size + 2 or entry[0] != TEXT_AT_1 or entry[2] != TEXT_AT_1:
            raise Unusual
        if at == size + 2:  # what is empty is left out
            pair = (_name(entry[4:at]), "")
        elif entry[at] == BYTES_AT_3 and entry[at + 1] == size - at:
            pair = (_name(entry[4:at]), text(entry[at + 2 :]))
        else:
            raise Unusual
        if size <= self.short:
            if len(self) >= self.most:
                self.clear()
            self[entry] = pair
        return pair


_known = _Known()


def _long(data: bytes, begin: int) -> tuple[Pair, int]:
    """A header of any length that begins at `begin`, and where it ends."""
    size, at = length(data, begin + 1)
    end = at + size
    if data[begin] != TEXT_AT_1 or data[at] != TEXT_AT_1 or end > len(data):
        raise Unusual
    size, name = length(data, at + 1)
    at = name + size
    if at == end:
        return (_name(data[name:at]), ""), end
    size, value = length(data, at + 1)
    if data[at] != BYTES_AT_3 or value + size != end:
        raise Unusual
    return (_name(data[name:at]), text(data[value:end])), end


def _name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:  # which generated code would not take either
        raise Unusual from None


def text(value: bytes) -> str:
    """A header's value. RFC 9110 section 5.5: any byte above 0x7f may stand in it; as text that JSON and the journal can say."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def joint(name: str) -> str:
    """What stands between the values of a repeated header (RFC 9110 section 5.3; cookies: RFC 9113 section 8.2.3)."""
    return "; " if name == "cookie" else ", "
