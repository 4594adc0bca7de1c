"""Ids say what they are of, come in order, and cannot be taken for declared ones."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.identity.ids import PREFIXES, Ids, Kind, declared, is_declared, kind_of
from tests.examples import examples

MOMENTS = st.lists(st.integers(0, 4_102_444_800_000_000_000), min_size=2, max_size=20)


@given(MOMENTS, st.integers(0, 2**52 - 1))
@settings(max_examples=examples(60))
def test_each_is_greater_than_the_one_before(moments: list[int], drawn: int) -> None:
    """Whatever the clock does."""
    clock = iter(moments)
    ids = Ids(lambda: next(clock), lambda bits: drawn & (2**bits - 1))
    made = [ids.make("key") for _ in moments]
    assert all(one < other for one, other in pairwise(made))
    assert {len(id) for id in made} == {24}


@pytest.mark.parametrize("kind", PREFIXES)
def test_they_say_what_they_are_of(kind: Kind) -> None:
    made, named = Ids().make(kind), declared(kind, "acme-2")
    assert (kind_of(made), is_declared(made)) == (kind, False)
    assert (kind_of(named), is_declared(named)) == (kind, True)


def test_their_beginning_is_the_time() -> None:
    ids = Ids(lambda: 1_800_000_000_000_000_000, lambda bits: 0)
    number = 0
    for character in ids.make("team").removeprefix("team_"):
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(character)
    assert (number >> 52, number & (2**52 - 1)) == (1_800_000_000_000, 0)


@pytest.mark.parametrize(
    "text", ["", "org", "org_", "org_0", "org_" + "0" * 19, "org_" + "0" * 19 + "u", "x_abc", "org_Acme", "org_a_b", "org_acme\n"]
)
def test_what_is_no_id(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize("name", ["", "Acme", "2", "a" * 64, "a b", "a\n"])
def test_what_is_no_name_to_declare(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        declared("organization", name)
