"""Signatures that travel through another maker's fields."""

from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.seals import pack, unpack

ORIGINS = st.sampled_from(["anthropic-claude-v1", "google-gemini-v1", ""])


@given(st.text(max_size=50), ORIGINS, ORIGINS)
def test_what_was_packed_comes_back_as_its_own(value: str, origin: str, own: str) -> None:
    packed = pack(value, origin, own)
    assert unpack(packed, own) == (value, origin if value else own)
    if origin != own:
        b64decode(packed, validate=True)
        assert unpack(packed.replace("+", "-").replace("/", "_"), own) == (value, origin if value else own)


@given(st.text(max_size=50).filter(lambda text: not text.startswith("aGVhZGdhdGU6")))
def test_what_was_not_packed_is_the_dialect_s_own(value: str) -> None:
    assert unpack(value, "me") == (value, "me")


def test_what_only_looks_packed() -> None:
    assert unpack("aGVhZGdhdGU6*", "me") == ("aGVhZGdhdGU6*", "me")
