"""What dialects take out of decoded JSON, and measure of it."""

from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.fields import length


@given(st.text(st.characters(codec=None)) | st.text("a\u00e9\u6c34\U0001f600\ud800"))
def test_a_text_is_as_long_as_its_bytes(text: str) -> None:
    assert length(text) == sum(1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4 for point in map(ord, text))
