"""What a scene has shown is told of: values in, values out."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from bench.budgets.clients import Seen
from bench.budgets.table import Shown, broken, markdown

KEPT = Shown(
    what="as it is", budget=Decimal(8), seen=Seen(Counter({200: 90, 402: 30, 500: 2}), 20), peak=Decimal("7.99"), rushed=Decimal(5),
    settled=Decimal("7.8"), ledgers=Decimal("7.8"), given=Decimal("7.9"), reserved=Decimal(0), slots=0, settling=1.0, least=Decimal("0.3"),
)  # fmt: skip


def test_what_was_promised_is_kept() -> None:
    assert list(broken(KEPT)) == []
    assert markdown([KEPT]).splitlines()[-1].endswith("| 1.0 s | kept |") and "| 2 x 500 |" in markdown([KEPT])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"peak": Decimal("8.1")}, "overspent: 8.1 of 8"), ({"settled": Decimal(9), "ledgers": Decimal(9)}, "overspent: 9"),
        ({"settled": Decimal(7), "ledgers": Decimal(7)}, "underspent: 1"),
        ({"slots": 1}, "1 slots"), ({"reserved": Decimal(1)}, "not back"),
        ({"ledgers": Decimal("7.800000001")}, "two books"), ({"seen": Seen(Counter({200: 9}))}, "nothing is shown"),
        ({"seen": replace(KEPT.seen, needless=3)}, "3 requests were refused though"),
    ],
)  # fmt: skip
def test_what_is_not_kept_is_told(wrong: dict[str, Any], words: str) -> None:
    (told,) = broken(replace(KEPT, **wrong))
    assert words in told and told in markdown([replace(KEPT, **wrong)])
