"""The difference of two values, applied to the first, is the second: for all of JSON."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extproc.injector.patch import difference
from tests.injector.patched import apply

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
KEYS = st.text(alphabet='a/~01"é', max_size=4)
NAMED = st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"x": LEAVES})
JSON = st.recursive(
    LEAVES | st.lists(NAMED, max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON, JSON)
def test_there_and_back(before: Any, after: Any) -> None:
    for one, other in ((before, after), (after, before)):
        made = apply(list(difference(one, other)), one)
        assert repr(sorted_(made)) == repr(sorted_(other)), "true is no 1, and 1 no 1.0"
        assert not list(difference(made, other))


def sorted_(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_(value[key]) for key in sorted(value)}
    return [*map(sorted_, value)] if isinstance(value, list) else value


def test_keys_are_escaped() -> None:
    before: dict[str, Any] = {"a/b": {}, "c~d": 1, "~1": 2}
    after = {"a/b": {"headgate.io/status": "x"}, "c~d": 3}
    assert list(difference(before, after)) == [
        {"op": "remove", "path": "/~01"},
        {"op": "add", "path": "/a~1b/headgate.io~1status", "value": "x"},
        {"op": "replace", "path": "/c~0d", "value": 3},
    ]


def test_what_comes_before_the_others_is_one_operation() -> None:
    assert list(difference([1, 2, 3], [0, 1, 2, 3])) == [{"op": "add", "path": "/0", "value": 0}]
    assert list(difference([1, 2, 3], [1, 3])) == [{"op": "remove", "path": "/1"}]
    assert list(difference([1, 2], [3, 2])) == [{"op": "remove", "path": "/0"}, {"op": "add", "path": "/0", "value": 3}]


def test_what_has_a_name_changes_in_place() -> None:
    one, other, more = {"name": "a", "x": 1}, {"name": "a", "x": 2}, {"name": "b"}
    assert list(difference([one], [more, other])) == [
        {"op": "add", "path": "/0", "value": more},
        {"op": "replace", "path": "/1/x", "value": 2},
    ]
    assert list(difference([more, one], [other])) == [{"op": "remove", "path": "/0"}, {"op": "replace", "path": "/0/x", "value": 2}]
