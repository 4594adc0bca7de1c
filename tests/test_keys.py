"""Keys are stored as digests and found by them."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from extproc.keys import PREFIX, KeyTable, StoredKey, digest, make_key
from extproc.values import Identity


def test_made_keys() -> None:
    keys = {make_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in keys)


def test_table() -> None:
    table = KeyTable([StoredKey("one", digest("hg-1"), "acme"), StoredKey("two", digest("hg-2"))], required=True)
    assert (len(table), table.required) == (2, True)
    assert table.find("hg-1") == Identity("acme", "one")
    assert table.find("hg-2") == Identity("two", "two")
    assert table.find("hg-3") is None
    assert table.find("") is None
    # What is stored is of no use to who finds it.
    assert table.find(digest("hg-1").hex()) is None


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_has_a_digest(key: str) -> None:
    if not any(0xD800 <= ord(character) < 0xDC80 or 0xDCFF < ord(character) <= 0xDFFF for character in key):
        assert digest(key) == hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
