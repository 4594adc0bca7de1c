"""The gate believes what an attempt tells only if it is the one that answered."""

import pytest

from extproc.usage import Usage
from extproc.use import Use, read_use

USE = Use("provider_a", 2, "a", "model", "model-1", Usage(input=3, output=4, cache_read=1), text=9, finished=True, error="overloaded")


def test_round_trip() -> None:
    assert read_use(USE.encode(), "provider_a", 2) == USE


@pytest.mark.parametrize(("cluster", "attempt"), [("provider_a", 1), ("provider_b", 2), ("", 2), ("provider_a", 0)])
def test_another_attempts_account_is_not_believed(cluster: str, attempt: int) -> None:
    assert read_use(USE.encode(), cluster, attempt) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"cluster":1}', '{"cluster":"provider_a"}', "\x00"])
def test_nonsense(text: str) -> None:
    assert read_use(text, "provider_a", 2) is None
