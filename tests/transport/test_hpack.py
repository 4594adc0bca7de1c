"""Header blocks, right and wrong (RFC 7541), and what we remember of them. Numbers are its sections; RFC 9113's are said to be."""

import pytest

from extproc.transport.http2.blocks import ANSWER, Blocks, refusal, trailers
from extproc.transport.http2.codes import Broken
from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Status
from tests.frames import (
    ACK,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Code,
    frame,
    literal,
    settings,
)
from tests.transport.wire import ALIVE, METHOD, PROBE, Wire, block, headers, request

CALL = block()
NO_TABLE = b"\x20"
TABLE_4096 = b"\x3f\xe1\x1f"
INDEXED = b"\x83\x86"
"""`:method: POST` and `:scheme: http` of the static table."""
REST = literal(b":path", METHOD.encode()) + literal(b"content-type", b"application/grpc")
FILLS = b"\x44\x12" + METHOD.encode() + b"\x5f\x10application/grpc"
"""The same, kept in the table (section 6.2.1), where they are 63 and 62 afterwards."""


def heard(*blocks: bytes, acknowledged: bool = True) -> tuple[Wire, list[Code]]:
    """A connection on which these blocks begin a stream each, and the codes of errors."""
    wire = Wire(engine=Wire.keep, greet=False)
    wire.taken()
    said = wire.say(PREFACE, settings(), frame(SETTINGS, ACK) if acknowledged else b"")
    said = wire.say(*(frame(HEADERS, END_HEADERS, 2 * at + 1, one) for at, one in enumerate(blocks)), PROBE)
    assert (said[-1] == ALIVE) is not wire.connection.closed
    return wire, [frame.code for frame in said if frame.kind in {GOAWAY, RST_STREAM}]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(NO_TABLE + INDEXED + REST, id="6.1 indexed"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x40\x01a\x01b", id="6.2.1 incremental indexing, which a table of 0 forgets at once"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x53\x01b", id="6.2.1 the same with a name that is indexed"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x00\x01a\x01b", id="6.2.2 without indexing"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x0f\x04\x01b", id="6.2.2 the same with a name that is indexed"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x10\x01a\x01b", id="6.2.3 never indexed"),
        pytest.param(NO_TABLE + INDEXED + REST + b"\x00\x82\x1c\x7f\x81\x1f", id="5.2 Huffman"),
        pytest.param(NO_TABLE + NO_TABLE + INDEXED + REST, id="6.3 two updates"),
    ],
)
def test_right_blocks(said: bytes) -> None:
    wire, errors = heard(said)
    assert (errors, wire.stream().method) == ([], METHOD.encode())


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(NO_TABLE + b"\xfe", id="2.3.3 an index that is not there"),
        pytest.param(CALL + NO_TABLE, id="4.2 an update of the table at the end"),
        pytest.param(CALL[1:], id="4.2 no update though the table has to shrink (RFC 9113, 4.3.1)"),
        pytest.param(CALL + b"\x00\x85\xf2\xb2\x4a\x87\xff\xfd\x25\x42\x7f", id="5.2 padding of more than 7 bits"),
        pytest.param(CALL + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\xfe\x90\x00\x00", id="5.2 padding of zeros"),
        pytest.param(CALL + b"\x00\x84\xff\xff\xff\xff\x01a", id="5.2 the end of a string in a string"),
        pytest.param(CALL + b"\x00\x7f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", id="5.1 an integer without end"),
        pytest.param(CALL + b"\x00\x05ab", id="5.2 a string that is cut"),
        pytest.param(NO_TABLE + b"\x80", id="6.1 index 0"),
        pytest.param(b"\x21" + CALL[1:], id="6.3 an update beyond what we allow"),
        pytest.param(TABLE_4096 + CALL[1:], id="6.3 the size that there was before our settings"),
    ],
)
def test_wrong_blocks(said: bytes) -> None:
    assert heard(said)[1] == [Code.COMPRESSION_ERROR]


def test_blocks_that_are_too_long() -> None:
    # RFC 9113, 6.5.2: MAX_HEADER_LIST_SIZE counts 32 bytes for each header.
    assert heard(CALL + literal(b"a", b"b") * 500)[1] == [Code.ENHANCE_YOUR_CALM]


def test_the_table_of_a_client_that_has_not_heard_our_settings() -> None:
    fills = INDEXED + FILLS
    uses = INDEXED + b"\xbf\xbe"
    wire, errors = heard(fills, uses, acknowledged=False)
    assert (errors, wire.stream(3).method) == ([], METHOD.encode())
    # Now it hears them.
    wire.say(frame(SETTINGS, ACK), frame(HEADERS, END_HEADERS, 5, CALL), PROBE)
    assert wire.stream(5).method == METHOD.encode()
    wire.say(frame(HEADERS, END_HEADERS, 7, uses))
    assert wire.connection.closed


def test_a_table_that_shrinks_and_grows_before_our_settings_are_heard() -> None:
    emptied = NO_TABLE + INDEXED + FILLS
    grown = TABLE_4096 + INDEXED + FILLS
    other = INDEXED + b"\x44\x02/x" + FILLS[20:]
    wire, errors = heard(emptied, grown, other, grown, INDEXED + b"\xbf\xbe", acknowledged=False)
    assert (errors, sorted(wire.connection.streams)) == ([Code.NO_ERROR], [1, 3, 7, 9])


def test_blocks_of_streams_that_are_not_taken_fill_the_table_too() -> None:
    wire = Wire(Limits(streams=2), engine=Wire.keep, greet=False)
    wire.taken()
    begun = [INDEXED + FILLS, INDEXED + b"\xbf\xbe", INDEXED + b"\x44\x02/x" + FILLS[20:], INDEXED + FILLS]
    said = wire.say(PREFACE, settings(), *(frame(HEADERS, END_HEADERS, 2 * at + 1, one) for at, one in enumerate(begun)))
    assert [frame.code for frame in said if frame.kind == RST_STREAM] == [Code.REFUSED_STREAM] * 2
    wire.say(frame(RST_STREAM, 0, 1, bytes(4)), frame(HEADERS, END_HEADERS, 9, INDEXED + b"\xbf\xbe"))
    assert wire.stream(9).method == METHOD.encode()


class Decoded(Blocks):
    """Counts the blocks that had to be decoded."""

    __slots__ = ("count",)

    def __init__(self, limits: Limits) -> None:
        super().__init__({METHOD.encode()}, limits)
        self.count = 0

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        self.count += 1
        return super()._decode(block)


def test_known_blocks_are_not_decoded_again() -> None:
    blocks = Decoded(Limits())
    blocks.forbid_table()
    heads = [blocks.request(said) for said in (CALL, CALL[1:], CALL[1:], CALL[1:])]
    assert (blocks.count, {head.method for head in heads}) == (2, {METHOD.encode()})


def test_blocks_are_decoded_as_long_as_there_may_be_a_table() -> None:
    blocks = Decoded(Limits())
    for _ in range(3):
        blocks.request(CALL)
    assert blocks.count == 3


def test_malformed_blocks_are_not_remembered_as_right() -> None:
    blocks = Decoded(Limits())
    blocks.forbid_table()
    for _ in range(2):
        with pytest.raises(Exception, match="GRPC"):
            blocks.request(block(("GRPC-x", "1")))


def test_so_many_blocks_are_remembered() -> None:
    blocks = Decoded(Limits(known_blocks=4))
    blocks.forbid_table()
    for number in range(100):
        blocks.request(block(("x-id", str(number))))
        assert len(blocks._known) <= 4
    assert blocks.count == 100


def test_a_block_that_is_passed_over_is_read_as_long_as_there_may_be_a_table() -> None:
    blocks = Decoded(Limits())
    blocks.skip(CALL)
    assert blocks.count == 1
    with pytest.raises(Broken):
        blocks.skip(b"\xfe")


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("broken off", "broken off"),
        ("100 % sure\r\n", "100 %25 sure%0D%0A"),
        ("grün \N{PERSONAL COMPUTER}", "gr%C3%BCn %F0%9F%92%BB"),
        ("~!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}", "~!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}"),
        ("\x7f\x00", "%7F%00"),
    ],
)
def test_words_are_percent_encoded(text: str, encoded: str) -> None:
    # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: Status-Message, all but 0x20-0x24 and 0x26-0x7E.
    assert headers(trailers(Status.INTERNAL, text)) == {"grpc-status": "13", "grpc-message": encoded}


@pytest.mark.parametrize("letter", ["x", "%", "é", "\N{PERSONAL COMPUTER}", "\udc80"])
def test_words_are_not_too_many(letter: str) -> None:
    # grpcio, for one, refuses headers of more than 8 KiB.
    encoded = headers(refusal(Status.INTERNAL, letter * 100_000))["grpc-message"]
    assert 500 < len(encoded) < 6000
    assert encoded.count("%") * 3 in {0, len(encoded)}


def test_endings() -> None:
    assert headers(ANSWER) == {":status": "200", "content-type": "application/grpc"}
    assert headers(trailers()) == {"grpc-status": "0"}
    assert headers(refusal(Status.NOT_FOUND, "")) == {":status": "200", "content-type": "application/grpc", "grpc-status": "5"}


def test_our_first_block_and_no_other_says_that_we_have_no_table() -> None:
    said = Wire().say(request(1, end=True), request(3, end=True))
    assert [heard.payload[0] for heard in said if heard.kind == HEADERS] == [0x20, 0x00, 0x88, 0x00]
