"""WebSocket messages: whole ones, however they are framed and cut; and nothing of what cannot be read."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from extproc.dialects.messages import MOST, Messages


def framed(opcode: Opcode, content: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    """A frame, as another library writes it."""
    return Frame(opcode, content, fin=fin).serialize(mask=mask)


def fed(data: bytes, cuts: list[int]) -> list[bytes]:
    """What comes out of `data` in pieces."""
    messages, found = Messages(), []
    for cut in cuts:
        found += messages.feed(data[:cut])
        data = data[cut:]
    return found + messages.feed(data)


contents = st.binary(max_size=20) | st.integers(120, 70_000).map(bytes)
fragments = st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.lists(contents, min_size=1, max_size=3))


@given(st.lists(fragments, max_size=5), st.lists(st.integers(1, 300), max_size=60), st.booleans())
def test_messages_are_whole(sent: list[tuple[Opcode, list[bytes]]], cuts: list[int], pinged: bool) -> None:
    data = b""
    for opcode, parts in sent:
        for number, part in enumerate(parts):
            data += framed(Opcode.CONT if number else opcode, part, fin=number == len(parts) - 1)
            data += framed(Opcode.PING, b"are you there") if pinged else b""
    assert fed(data + framed(Opcode.CLOSE, b"\x03\xe8"), cuts) == [b"".join(parts) for _, parts in sent]


def test_what_is_too_long_is_passed_over() -> None:
    long = framed(Opcode.BINARY, bytes(MOST), fin=False) + framed(Opcode.CONT, b"x")
    assert fed(long + framed(Opcode.TEXT, b"next"), [1000] * 50) == [b"next"]
    assert fed(framed(Opcode.TEXT, bytes(MOST)), []) == [bytes(MOST)]


def test_what_cannot_be_read_is_passed_over_to_the_end() -> None:
    after = framed(Opcode.TEXT, b"after")
    packed = framed(Opcode.TEXT, b"packed")
    for first in (bytes([packed[0] | 0x40]) + packed[1:], framed(Opcode.TEXT, b"masked", mask=True)):
        assert fed(framed(Opcode.TEXT, b"before") + first + after * 3, [3] * 20) == [b"before"]


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_garbage(chunks: list[bytes]) -> None:
    messages = Messages()
    for chunk in chunks:
        assert sum(map(len, messages.feed(chunk))) <= sum(map(len, chunks))
