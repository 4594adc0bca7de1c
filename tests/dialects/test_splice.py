import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.splice import include_usage, refit, set_member


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b' {\n "x" : [1, {"model": "no"}] ,\t"model" : "a" } \n', b' {\n "x" : [1, {"model": "no"}] ,\t"model" : "b" } \n'),
        (b'{"s":"\\"model\\":\\"a\\"","model":null}', b'{"s":"\\"model\\":\\"a\\"","model":"b"}'),
        (b'{"\\u006dodel":"a","x":1}', b'{"\\u006dodel":"b","x":1}'),
        (b'{"model":"a","model":"aa","x":{},"model":1}', b'{"model":"b","model":"b","x":{},"model":"b"}'),
        (b'{"model":{"a":"]}"},"model":[1,"}"]}', b'{"model":"b","model":"b"}'),
        (b'{"model":12,"model":1}', b'{"model":"b","model":"b"}'),
        (b'{"x":1.50e+1,"y":"\xc3\xa9"}', b'{"x":1.50e+1,"y":"\xc3\xa9","model":"b"}'),
        (b"{ }", b'{"model":"b" }'),
    ],
)
def test_the_model_is_replaced_and_nothing_else(body: bytes, expected: bytes) -> None:
    assert set_member(body, "model", b'"b"') == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"stream":true}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options": { } }', b'{"stream_options": {"include_usage":true } }'),
        (b'{"stream_options":{"include_usage": false, "x":1}}', b'{"stream_options":{"include_usage": true, "x":1}}'),
        (b'{"stream_options":{"x":{"include_usage":false}}}', b'{"stream_options":{"x":{"include_usage":false},"include_usage":true}}'),
        (b'{"stream_options":{"include_usage":true}}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":7}', b'{"stream_options":7}'),
        (b'{"x":{"stream_options":{}}}', b'{"x":{"stream_options":{}},"stream_options":{"include_usage":true}}'),
    ],
)
def test_usage_is_asked_for(body: bytes, expected: bytes) -> None:
    assert include_usage(body) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"a":', b'{"a":1}x', b'{"a":' + b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        set_member(body, "model", b'"b"')


KEYS = st.sampled_from(["model", "stream_options", "a", 'q"uo\\te', "é"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(members=st.lists(st.tuples(KEYS, VALUES), max_size=6), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_any_object(members: list[tuple[str, Any]], indent: int | None, ascii_only: bool) -> None:
    pairs = [json.dumps(k, ensure_ascii=ascii_only) + " : " + json.dumps(v, indent=indent, ensure_ascii=ascii_only) for k, v in members]
    body = ("{" + " ,\n".join(pairs) + "}").encode("utf-8", "replace")
    changed = json.loads(set_member(body, "model", b'"b"'), object_pairs_hook=list)
    expected = [[key, "b" if key == "model" else value] for key, value in json.loads(body, object_pairs_hook=list)]
    if not any(key == "model" for key, _ in members):
        expected.append(["model", "b"])
    assert [list(pair) for pair in changed] == expected


@pytest.mark.parametrize(
    ("body", "expected", "lost"),
    [
        (b'{"a":1}', b'{"a":1}', []),
        (b"{ }", b"{ }", []),
        (b' { "no" : [1, "}"] , "a" : {"no": 1} }\n', b' { "a" : {"no": 1} }\n', ["no"]),
        (b'{"a": 1, "no": 2}', b'{"a": 1}', ["no"]),
        (b'{"a": 1,\n "no": 2 , "b": 3}', b'{"a": 1 , "b": 3}', ["no"]),
        (b'{"no":1,"no":2}', b"{}", ["no", "no"]),
        (b'{"n\\u006f":1,"a":2}', b'{"a":2}', ["no"]),
        (b'{"a":1,"old" : 5}', b'{"a":1,"new" : 5}', []),
        (b'{"\\u006fld":5}', b'{"new":5}', []),
        (b'{"new":4,"old":5}', b'{"new":4}', ["old"]),
        (b'{"a":{"old":5,"no":1}}', b'{"a":{"old":5,"no":1}}', []),
    ],
)
def test_members_are_left_out_or_renamed_and_nothing_else(body: bytes, expected: bytes, lost: list[str]) -> None:
    told: list[tuple[str, bytes]] = []
    assert refit(body, {"no"}, {"old": "new"}, lambda name, text: told.append((name, text))) == expected
    assert [name for name, _ in told] == lost
    for _, text in told:
        json.loads(text)


KEYS = st.sampled_from(["no", "old", "new", "a", 'q"', "é"])


@given(st.dictionaries(KEYS, st.recursive(st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2), max_leaves=4)))
def test_what_is_left_is_what_a_parser_would_leave(value: dict[str, Any]) -> None:
    body = json.dumps(value, indent=1).encode()
    expected = {key: value[key] for key in value if key != "no" and not (key == "old" and "new" in value)}
    expected = {"new" if key == "old" else key: kept for key, kept in expected.items()}
    assert json.loads(refit(body, {"no"}, {"old": "new"}, lambda name, text: None)) == expected
