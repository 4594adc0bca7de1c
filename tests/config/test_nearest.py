import pytest

from extproc.config.nearest import hint, nearest, quoted


@pytest.mark.parametrize(
    ("word", "expected"),
    [("baseurl", "base_url"), ("base-url", "base_url"), ("BASE_URL", "base_url"), ("kye", "key"), ("zzz", None), ("", None)],
)
def test_the_nearest_name(word: str, expected: str | None) -> None:
    assert nearest(word, ["base_url", "key", "timeouts"]) == expected


def test_without_a_near_name_all_are_told() -> None:
    assert hint("zzz", ["a", "b"], "there are") == "; there are: a, b"
    assert hint("zzz", [], "there are") == ""


def test_what_is_quoted_is_short_and_harmless() -> None:
    assert quoted("a\x1b[31m\n") == '"a?[31m?"'
    assert len(quoted("x" * 1000)) == 85
