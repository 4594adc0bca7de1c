"""Forms: which model they name, wherever it stands, and nothing that two parsers would read differently."""

import random
from email import message_from_bytes
from email.policy import HTTP

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.forms import boundary, open_form, set_model
from extproc.errors import Reject
from tests.cases import cases

TYPE = "multipart/form-data; boundary=edge"
FILE = random.Random(2).randbytes(64 * 1024)


def part(name: str, value: bytes, more: str = "", headers: str = "") -> bytes:
    """One part."""
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{headers}\r\n'.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--edge--\r\n"


SOUND = part("file", FILE, '; filename="a \\"b\\" \xe9.mp3"', "Content-Type: audio/mpeg\r\n")


@pytest.mark.parametrize(
    "parts",
    [
        [part("model", b"whisper-1"), SOUND],
        [SOUND, part("language", b"de"), part("model", b"whisper-1")],
        [part("model", b"whisper-1", headers="Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")],
        [part("prompt", b'model=other\r\n--edg\r\nname="model"\r\n\r\nx --edge y'), part("model", b"whisper-1")],
        [part("Model", b"another"), part("model[]", b"another"), part("model", b"whisper-1"), part("x", b"1"), part("x", b"2")],
        [b"--edge\r\ncontent-disposition:form-data; name=model\r\n\r\nwhisper-1\r\n"],
        [b"\r\n", part("model", b"whisper-1")],
    ],
)
def test_the_model_is_found_and_renamed(parts: list[bytes]) -> None:
    body = form(*parts)
    assert open_form(body, TYPE).model == "whisper-1"
    renamed = set_model(body, TYPE, "openai/whisper-große")
    assert open_form(renamed, TYPE).model == "openai/whisper-große"
    assert renamed == body.replace(b"\r\n\r\nwhisper-1\r\n", "\r\n\r\nopenai/whisper-große\r\n".encode())
    assert form(*parts).removesuffix(b"\r\n") != body
    assert open_form(body.removesuffix(b"\r\n"), TYPE).model == "whisper-1"


@pytest.mark.parametrize(("said", "streamed"), [(b"true", True), (b"True", True), (b"1", True), (b"false", False), (b"", False)])
def test_whether_it_is_streamed(said: bytes, streamed: bool) -> None:
    assert open_form(form(part("model", b"m"), part("stream", said)), TYPE).stream is streamed
    assert open_form(form(part("model", b"m")), TYPE).stream is False


def test_a_form_without_a_model() -> None:
    assert open_form(form(SOUND), TYPE).model is None
    for body in (form(SOUND), b"\r\n" + form(SOUND)):
        named = set_model(body, TYPE, "m")
        assert open_form(named, TYPE).model == "m"
        assert named.endswith(form(SOUND))


MODEL = part("model", b"m")


@cases(
    ("body", "why"),
    [
        (b"", "begin"),
        (b"--edge--\r\n", "empty"),
        (b"preamble\r\n" + form(MODEL), "begin"),
        (form(MODEL) + b"--edge\r\n" + MODEL, "follows its last"),
        (form(MODEL, MODEL), "twice"),
        (form(part("model", b"a", '; filename="m"')), "is a file"),
        (form(part("model", b"x" * 1025)), "1025 bytes"),
        (form(part("model", b"\xff")), "UTF-8"),
        (MODEL, "last boundary is missing"),
        (form(MODEL).replace(b"\r\n", b"\n"), "followed by something else"),
        (form(MODEL, part("x", b"y\n--edge\r\nz")), "CR LF"),
        (form(MODEL, part("x", b"y\r--edge\r\nz")), "CR LF"),
        (form(MODEL, part("x", b"y\r\n--edgeless")), "followed by something else"),
        (form(MODEL, part("x", b"y\r\n--edge \r\nz")), "followed by something else"),
        (form(b"--edge\r\n\r\nno headers\r\n"), "no headers"),
        (form(b"--edge\r\n"), "no headers"),
        (form(part("x", b"", headers=f"X: {'y' * 9000}\r\n")), "more than 8192 bytes"),
        (form(part("x", b"", headers=" folded\r\n")), "malformed"),
        (form(part("x", b"", headers="Content-Disposition: form-data; name=model\r\n")), "twice"),
        (form(part("x", b"", headers="Content-Transfer-Encoding: base64\r\n")), "transfer-encoding"),
        (form(part("x", b"", '; name="model"')), "two ways"),
        (form(part("x", b"", "; name*=utf-8''model")), "two ways"),
        (form(part("mod\\el", b"")), "backslash"),
        (form(part("", b"")), "no name"),
        (form(b"--edge\r\nContent-Disposition: attachment; name=model\r\n\r\nm\r\n"), "well-formed"),
        (form(b"--edge\r\nContent-Type: text/plain\r\n\r\nm\r\n"), "well-formed"),
        (form(*[part("x", b"")] * 257), "more than 256 parts"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Reject, match=why) as refused:
        open_form(body, TYPE)
    assert (refused.value.fault.status, refused.value.fault.code) == (400, "invalid_form")


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("multipart/form-data; boundary=a", b"a"),
        ('Multipart/Form-Data;charset=utf-8; Boundary="a b=c"', b"a b=c"),
        ("multipart/form-data; boundary=----WebKitFormBoundaryABC", b"----WebKitFormBoundaryABC"),
        ("multipart/form-data; boundary=" + "a" * 70, b"a" * 70),
    ],
)
def test_boundaries(content_type: str, found: bytes) -> None:
    assert boundary(content_type) == found


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="a "',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=" + "a" * 71,
        "multipart/form-data; boundary=a b",
        'multipart/form-data; boundary="a',
        "multipart/form-data; boundary=\xe9",
        "multipart/mixed; boundary=a",
    ],
)
def test_boundaries_that_are_none(content_type: str) -> None:
    with pytest.raises(Reject) as refused:
        boundary(content_type)
    assert refused.value.fault.code == "invalid_form"


names = st.text(
    st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=("Cc", "Cs")), min_size=1, max_size=20
).filter(lambda name: name not in ("model", "stream"))


@given(st.lists(st.tuples(names, st.binary(max_size=200)), max_size=6), st.text(min_size=1, max_size=40), st.integers(0, 6), st.booleans())
def test_what_a_client_writes_is_read(fields: list[tuple[str, bytes]], model: str, at: int, as_files: bool) -> None:
    """Of httpx, which the official SDKs use, and so that another parser sees the same model before and after."""
    named = [*fields[:at], ("model", model.encode()), *fields[at:]]
    given_ = [
        (name, (None if name == "model" or not as_files else "f", value, None if name == "model" else "application/octet-stream"))
        for name, value in named
    ]
    request = httpx.Request("POST", "http://localhost/", files=given_)
    content_type, body = request.headers["content-type"], request.read()
    assert open_form(body, content_type).model == model
    renamed = set_model(body, content_type, "another")
    assert len(renamed) == len(body) - len(model.encode()) + len("another")
    assert [value for name, value in _other_parser(renamed, content_type) if name == "model"] == [b"another"]
    assert [value for name, value in _other_parser(renamed, content_type) if name != "model"] == [
        value for name, value in _other_parser(body, content_type) if name != "model"
    ]


def _other_parser(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """The same form, as Python's own parser of mail reads it."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    read = []
    for one in list(message.walk())[1:]:
        content = one.get_payload(decode=True)
        read.append((str(one.get_param("name", header="content-disposition")), content if isinstance(content, bytes) else b""))
    return read


pieces = st.sampled_from(
    [
        *(b"--edge", b"--", b"\r\n", b"\n", b"\r", b"Content-Disposition: form-data; ", b'name="model"', b'name="stream"', b"model"),
        *(b"true", b" ", b'; filename="f"', b"\\", b'"', b"\x00", b"content-type: a/b"),
    ]
)


@given(st.lists(pieces | st.binary(max_size=4), max_size=40))
def test_garbage_is_refused_or_read(given_: list[bytes]) -> None:
    body = b"".join(given_)
    try:
        model = open_form(body, TYPE).model
    except Reject:
        return
    if model is not None:
        assert open_form(set_model(body, TYPE, "another"), TYPE).model == "another"


@given(st.lists(pieces, max_size=10), st.lists(pieces, max_size=10))
def test_no_other_parser_sees_another_model(before: list[bytes], inside: list[bytes]) -> None:
    body = form(*before, part("model", b"asked"), part("x", b"".join(inside)))
    try:
        model = open_form(body, TYPE).model
    except Reject:
        return
    assert model == "asked"
    assert [value for name, value in _other_parser(body, TYPE) if name == "model"] == [b"asked"]
