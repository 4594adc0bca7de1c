"""What the rounds have shown."""

import statistics
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

WORSE = 1.20
"""What a neighbour's noise may make of a median."""


class Round(Struct, frozen=True):
    """One round of the quiet tenant's requests."""

    noisy: bool
    took: tuple[float, ...]
    """Seconds of each answer."""
    statuses: Counter[int]
    noise: dict[str, int]
    """How often the noisy tenant got which status."""
    seconds: float

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.took) if self.took else float("inf")


class Outcome(Struct, frozen=True):
    """Of all rounds."""

    quiet: float
    noisy: float
    """The median of medians, in seconds."""
    failures: int
    """Requests of the quiet tenant that were not answered with 200."""
    served: float
    """Answers a second that the noisy tenant got."""
    asked: float
    """Requests a second that it sent."""
    allowed: float
    """Answers a second that its slots allow."""

    @property
    def ratio(self) -> float:
        """What the noise makes of the median."""
        return self.noisy / self.quiet

    @property
    def holds(self) -> bool:
        """The promise."""
        return self.ratio <= WORSE and not self.failures and self.served <= 1.1 * self.allowed + 1


def outcome(rounds: Sequence[Round], allowed: float) -> Outcome:
    """What comes of the rounds."""
    loud = [one for one in rounds if one.noisy]
    seconds = sum(one.seconds for one in loud) or 1.0
    noise = Counter[str]()
    for one in loud:
        noise.update(one.noise)
    return Outcome(
        quiet=statistics.median(one.median for one in rounds if not one.noisy),
        noisy=statistics.median(one.median for one in loud),
        failures=sum(count for one in rounds for status, count in one.statuses.items() if status != 200),
        served=noise["200"] / seconds,
        asked=(noise.total() - noise["late"]) / seconds,
        allowed=allowed,
    )


_HEAD = "| round | noise | quiet: answers | median | failures | noise: sent/s | answered/s | refused/s |\n|--:|---|--:|--:|--:|--:|--:|--:|"


def markdown(rounds: Sequence[Round], found: Outcome) -> str:
    """The table, and what it comes to."""
    rows = [_row(number, one) for number, one in enumerate(rounds, 1)]
    medians = f"{found.quiet * 1000:.1f} ms alone, {found.noisy * 1000:.1f} ms beside the noise"
    ratio = f"{found.ratio - 1:+.1%} (at most {WORSE - 1:+.0%})"
    times = found.asked / found.allowed
    noise = f"{found.asked:.0f} requests a second, {times:.0f} times what its slots allow ({found.allowed:.0f})"
    said = (
        f"Median of medians: {medians}: {ratio}. Failures of the quiet tenant: {found.failures}.\n"
        f"The noisy tenant sent {noise}, and got {found.served:.1f} answers a second."
    )
    return "\n".join([_HEAD, *rows, "", said])


def _row(number: int, one: Round) -> str:
    failed = sum(count for status, count in one.statuses.items() if status != 200)
    sent = sum(one.noise.values()) - one.noise.get("late", 0)
    answered, refused = one.noise.get("200", 0), one.noise.get("429", 0)
    noise = " | ".join(f"{count / one.seconds:.1f}" for count in (sent, answered, refused))
    return f"| {number} | {'yes' if one.noisy else 'no'} | {len(one.took)} | {one.median * 1000:.1f} ms | {failed} | {noise} |"
