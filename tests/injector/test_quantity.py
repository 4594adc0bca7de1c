from decimal import Decimal

import pytest

from extproc.injector.quantity import amount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"), ("2", "2"), ("250m", "0.25"), ("1.5", "1.5"), ("1k", "1000"), ("1Ki", "1024"), ("0.5Gi", "536870912"),
        ("1G", "1000000000"), ("1E", "1000000000000000000"), ("1e3", "1000"), ("2E3", "2000"), ("1Ei", "1152921504606846976"),
    ],
)  # fmt: skip
def test_amounts(text: str, expected: str) -> None:
    assert amount(text) == Decimal(expected)
