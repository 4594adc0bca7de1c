"""Heads of a kind that was seen before, against what generated code reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.keys import make_key
from extproc.wire import incoming, layout, scan
from extproc.wire.incoming import Incoming
from extproc.wire.layout import Layouts
from tests.examples import examples
from tests.playbook import message, request_headers
from tests.wire.test_scan import HEADERS, NAMES, VALUES, agree, map_of

CHAT = {
    ":path": "/v1/chat/completions", "authorization": "Bearer " + make_key(), "user-agent": "OpenAI/Python 3.52.0", "content-length": "100",
    "x-request-id": "6f1e7d9a-8f7b-4b7e-9f64-3f0f6a3c9d11", "accept": "*/*",
}  # fmt: skip


@pytest.fixture(autouse=True)
def layouts(monkeypatch: pytest.MonkeyPatch) -> Layouts:
    made = Layouts()
    monkeypatch.setattr(incoming, "_layouts", made)
    monkeypatch.setattr(layout, "_LEARN_ONE_IN", 1)
    return made


def ask(**headers: str) -> dict[str, str]:
    return Incoming(request_headers({**CHAT, **headers})).headers()


def head(pairs: list[tuple[str, bytes]]) -> bytes:
    return message(request_headers={"headers": map_of(pairs)})


@given(HEADERS, st.lists(st.tuples(st.integers(0, 11), NAMES, VALUES), max_size=6))
@settings(max_examples=examples(150), deadline=None)
def test_heads_that_differ_a_little_are_read_the_same(pairs: list[tuple[str, bytes]], changes: list[tuple[int, str, bytes]]) -> None:
    agree(head(pairs))
    for at, name, value in changes:
        # First a value, then a name as well: of the same layout, and of another.
        for changed in (pairs[at][0] if at < len(pairs) else name, name):
            pairs = [*pairs[:at], (changed, value), *pairs[at + 1 :]]
            agree(head(pairs))
            agree(head(pairs))


@given(st.lists(VALUES, min_size=4, max_size=4), st.integers(0, 300), st.integers(0, 3), st.binary(max_size=3))
@settings(max_examples=examples(150), deadline=None)
def test_what_is_damaged_is_read_the_same(values: list[bytes], at: int, cut: int, put: bytes) -> None:
    for value in values:
        whole = head([("accept", b"*/*"), ("cookie", b"c" + value), ("x-long" * 30, b"1"), ("cookie", b"d" + value), ("x-id", value)])
        agree(whole)
        agree(whole[:at] + put + whole[at + cut :])


def test_one_layout_serves_all_requests_of_a_client(layouts: Layouts, monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    ask(**{"content-length": "2000", "authorization": "Bearer " + "k" * 300})

    def never(data: bytes, at: int, stop: int) -> None:
        raise AssertionError((data, at, stop))

    monkeypatch.setattr(scan, "headers", never)
    for number in range(100):
        changed = {
            "content-length": str(number * 997),
            "authorization": "Bearer " + make_key() * (number % 9),
            "x-request-id": "é" * (number + 1),
        }
        assert ask(**changed) == {**CHAT, **changed}
        assert list(ask(**changed)) == list(CHAT)
    assert len(layouts) == 1


def test_repeated_names_have_a_layout_too(layouts: Layouts, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("cookie", b"a=1"), ("x-one", b"1"), ("cookie", b"b=2"), ("set-cookie", b"x" * 60), ("set-cookie", b"y")]
    Incoming(head(pairs)).headers()
    monkeypatch.setattr(scan, "headers", lambda *_: pytest.fail("a layout was not found"))
    assert Incoming(head(pairs)).headers() == {"cookie": "a=1; b=2", "x-one": "1", "set-cookie": "x" * 60 + ", y"}
    assert len(layouts) == 1


def test_a_value_that_holds_what_looks_like_a_header_is_one_value() -> None:
    forged = "1\n\x0c\n\x06x-team\x1a\x02it"
    for value in ("1", "2", forged, "3"):
        agree(head([("x-a", value.encode()), ("x-b", b"2")]))
    assert Incoming(head([("x-a", forged.encode()), ("x-b", b"2")])).headers() == {"x-a": forged, "x-b": "2"}


def test_what_is_remembered_is_bounded_and_holds_no_key(layouts: Layouts) -> None:
    key = make_key()
    for number in range(100):
        ask(authorization=f"Bearer {key}")
        ask(authorization=f"Bearer {key}", **{f"x-{number}": "1"})
    assert len(layouts) == layout._MOST
    # What comes often was kept, and is tried first.
    assert layouts._known[0].names == tuple(CHAT)
    assert not any(key in value for one in layouts._known for value in one._fixed.values())
    assert not any(key.encode() in same for one in layouts._known for same in (one._end, *(hole[0] for hole in one._holes)))


def test_names_that_nobody_sends_again_are_rarely_learnt(layouts: Layouts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_LEARN_ONE_IN", 4)
    for number in range(16):
        ask(**{f"x-{number}": "1"})
    assert len(layouts) == 4
