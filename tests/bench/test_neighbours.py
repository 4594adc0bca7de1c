"""What the rounds beside a noisy neighbour come to."""

from collections import Counter

import pytest

from bench.neighbours.client import request
from bench.neighbours.table import Round, markdown, outcome


def quiet(median: float, **failed: int) -> Round:
    statuses = Counter({200: 3} | {int(name[1:]): count for name, count in failed.items()})
    return Round(False, (median - 0.01, median, median + 0.5), statuses, {}, 2)


def noisy(median: float, answered: int = 20, late: int = 0) -> Round:
    return Round(True, (median,) * 3, Counter({200: 3}), {"200": answered, "429": 1980, "late": late}, 2)


def test_what_holds() -> None:
    found = outcome([quiet(0.10), noisy(0.11), quiet(0.12), noisy(0.13), quiet(0.11), noisy(0.40)], allowed=10)
    assert (found.quiet, found.noisy, found.failures) == (0.11, 0.13, 0)
    assert found.ratio == pytest.approx(0.13 / 0.11)
    assert (found.served, found.asked) == (10, 1000)
    assert found.holds


@pytest.mark.parametrize(
    "rounds",
    [
        [quiet(0.10), noisy(0.13)],
        [quiet(0.10, s503=1), noisy(0.10)],
        [quiet(0.10, s0=1), noisy(0.10)],
        [quiet(0.10), noisy(0.10, answered=60)],
        [quiet(0.10), Round(True, (), Counter(), {}, 2)],
    ],
)
def test_what_does_not(rounds: list[Round]) -> None:
    assert not outcome(rounds, allowed=10).holds


def test_the_table() -> None:
    rounds = [quiet(0.1, s503=2), noisy(0.11, late=50)]
    text = markdown(rounds, outcome(rounds, allowed=10))
    assert "| 1 | no | 3 | 100.0 ms | 2 | 0.0 | 0.0 | 0.0 |\n| 2 | yes | 3 | 110.0 ms | 0 | 1000.0 | 10.0 | 990.0 |" in text
    assert "100.0 ms alone, 110.0 ms beside the noise: +10.0% (at most +20%). Failures of the quiet tenant: 2." in text
    assert "sent 1000 requests a second, 100 times what its slots allow (10), and got 10.0 answers a second" in text


def test_a_request_says_how_long_it_is() -> None:
    head, _, body = request(80, "hg-a", 100).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head and body.count(b"x" * 100) == 1
