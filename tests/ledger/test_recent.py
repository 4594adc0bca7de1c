"""What was collected just now is known by its id, for as long as there is room."""

import json

from extproc.ledger.recent import Recent


def line(**keys: object) -> bytes:
    """A line as Envoy writes it: keys in order, no spaces."""
    return json.dumps(dict(sorted(keys.items())), separators=(",", ":")).encode()


def test_an_id_is_taken_once() -> None:
    recent = Recent()
    recent.update(["a", "b"])
    assert recent.take(line(request_id="a", status=200)) == "a"
    assert recent.take(line(request_id="a", status=200)) == ""
    assert recent.take(line(request_id="b")) == "b"


def test_what_is_not_certain_is_left_to_others() -> None:
    recent = Recent()
    recent.update(["a", "b", 'c"d', "ä"])
    for text in (b"", b"{", b'"request_id":"', b'{"request_id":', line(request_id=None), line(request_id="x"), line(request_id="ä")):
        assert recent.take(text) == ""
    # Quotes within a string are escaped: neither a path nor the record is taken for the line's own key.
    assert recent.take(line(path='/"request_id":"a"', record=json.dumps({"request_id": "b"}), request_id="x")) == ""
    assert recent.take(line(record=json.dumps({"request_id": "b"}), request_id="a")) == "a"


def test_the_oldest_go_first() -> None:
    recent = Recent(most=10)
    for number in range(100):
        recent.update([str(number)])
    kept = [number for number in range(100) if recent.take(line(request_id=str(number)))]
    assert kept == list(range(kept[0], 100))
    assert 10 <= len(kept) <= 20


def test_all_is_forgotten_when_nothing_is_certain() -> None:
    recent = Recent(most=2)
    recent.update(["a", "b"])
    recent.update(["c"])
    recent.clear()
    assert [recent.take(line(request_id=id)) for id in "abc"] == ["", "", ""]
