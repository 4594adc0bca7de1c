"""`cases`: all run, and each that fails is named."""

import inspect

import pytest

from tests.cases import cases


def test_all_run() -> None:
    seen: list[tuple[str, int, object]] = []

    @cases("word", ["a", "b"])
    @cases("number", [1, 2])
    def test(word: str, number: int, fixture: object) -> None:
        seen.append((word, number, fixture))

    test(fixture=None)
    assert seen == [("a", 1, None), ("a", 2, None), ("b", 1, None), ("b", 2, None)]


def test_each_that_fails_is_named() -> None:
    @cases(("number", "half"), [(2, 1), (3, 1), (4, 2), (5, 2)], ids=lambda case: f"half of {case[0]}")
    def test(number: int, half: int) -> None:
        if number == 5:
            pytest.fail("five")
        assert number == 2 * half

    with pytest.raises(BaseExceptionGroup, match=r"2 of 4 cases failed: .*half of 3, .*half of 5") as told:
        test()
    assert [error.__notes__ for error in told.value.exceptions] == [["the case: half of 3"], ["the case: half of 5"]]


def test_fixtures_are_asked_for_as_before(pytestconfig: pytest.Config) -> None:
    @cases("number", [1])
    def test(number: int, pytestconfig: pytest.Config) -> None:
        assert (number, pytestconfig) == (1, pytestconfig)

    test(pytestconfig=pytestconfig)
    assert list(inspect.signature(test).parameters) == ["pytestconfig"]


def test_what_is_no_case() -> None:
    with pytest.raises(AssertionError, match="no cases"):
        cases("number", [])
    with pytest.raises(AssertionError, match="has not all of"):
        cases("numbr", [1])(lambda number: None)
