"""Instructions of translation, for every two dialects: a guard beside `bench.translation`, whose times drift. Part of `bench.counts`."""

import sys
from collections.abc import Iterator

import msgspec

from bench import callgrind
from bench.callgrind import Kind
from bench.translation import ALL, Both
from extproc.dialects import DIALECTS

PAIR, EVENT = 780, 100
"""Thousands of instructions that the dearest may take: as measured, and a sixth more, as in `bench.counts`. An event of most takes
45 to 67; one of Gemini's, which tells its usage each time, up to 85."""


def kinds() -> Iterator[Kind]:
    """Of each two dialects a pair and an event, warm."""
    for both in ALL:
        both.pairs(5)
        yield Kind(f"pair, {both}", lambda both=both: both.pairs(1), lambda both=both: both.pairs(5), 4)  # type: ignore[misc]
        both.events(20)()
        yield Kind(f"event, {both}", both.events(10), both.events(50), 40)


def count() -> dict[str, float]:
    """Thousands of instructions, by kind."""
    return callgrind.count("bench.translation_counts")


def report(found: dict[str, float]) -> tuple[str, bool]:
    """Two tables, and whether all is within the limits."""
    lines, good = [], True
    for what, limit in (("pair", PAIR), ("event", EVENT)):
        lines.append(f"{f'a translated {what}: client, provider':36}" + "".join(f"{provider:>12}" for provider in DIALECTS))
        for client in DIALECTS:
            values = [found.get(f"{what}, {Both(client, provider)}", 0.0) for provider in DIALECTS]
            wrong = max(values) > limit
            good = good and not wrong
            cells = "".join(f"{value:12,.0f}" if value else f"{'-':>12}" for value in values)
            lines.append(f"{client:36}{cells}{f'   TOO MUCH: more than {limit}' if wrong else ''}")
    return "\n".join(lines), good


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        print(msgspec.json.encode(callgrind.mark(kinds())).decode())
    else:
        text, _ = report(count())
        print(text)
