"""How long a client gives to the whole of its request."""

import pytest

from extproc import Reject
from extproc.deadline import seconds


@pytest.mark.parametrize(("said", "given"), [("30", 30), ("2.5", 2.5), ("0.000001", 0.000001), ("60", 60), ("61", 60), ("999999", 60)])
def test_seconds(said: str, given: float) -> None:
    assert seconds(said, 60) == given


@pytest.mark.parametrize("said", ["", "0", "0.0", "-1", "+1", "1e3", " 1", "1 ", "1s", ".5", "5.", "1000000", "nan", "inf", "1, 2", "٣"])
def test_what_is_no_time(said: str) -> None:
    with pytest.raises(Reject) as refused:
        seconds(said, 60)
    assert (refused.value.fault.status, refused.value.fault.code) == (400, "invalid_timeout")
