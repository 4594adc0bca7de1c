"""What was found, as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.faults.load import Told
from bench.faults.play import Played
from bench.faults.sweep import Row, Swept


def grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def providers(swept: Swept) -> str:
    """The faults of providers."""
    head = [
        "fault",
        "the provider",
        "alone",
        "alone, a stream",
        "with a second",
        "with a second, a stream",
        "slowest",
        "asked",
        "booked alone",
    ]
    return grid(head, [_provider(row) for row in swept.rows])


def parts(played: Sequence[Played]) -> str:
    """The gateway's own parts."""
    head = ["scenario", "what breaks", "sent", "answered", "failed", "longest silence", "slowest", "without a key", "asked", "booked"]
    return grid(head, [_part(one) for one in played])


def _part(played: Played) -> list[object]:
    if played.untried:
        return [f"`{played.name}`", f"not tried: {played.untried}", *[""] * 8]
    failed = [one for one in played.told if one.word != "200"]
    slowest = max((one.seconds for one in played.told), default=0.0)
    booked = ", ".join(f"{count} {outcome}" for outcome, count in sorted(played.booked.items(), key=lambda item: -item[1]))
    return [
        f"`{played.name}`", played.what, len(played.told), len(played.told) - len(failed), _counts(failed), f"{played.gap:.1f} s",
        f"{slowest:.1f} s", _counts(played.refused), played.reached, booked,
    ]  # fmt: skip


def _counts(told: Iterable[Told]) -> str:
    """How many got what; errors by their status alone."""
    counts = Counter(status if (status := one.word.partition(" ")[0]).isdigit() else one.word for one in told)
    return ", ".join(f"{count} x {word}" for word, count in counts.most_common())


def _provider(row: Row) -> list[object]:
    forms = [(stream, second) for second in (False, True) for stream in (False, True)]
    cells = [_words(row.of(stream=stream, second=second)) for stream, second in forms]
    slowest = max(one.seconds for one in row.told)
    return [f"`{row.name}`", row.what, *cells, f"{slowest:.1f} s", row.attempts, _booked(row)]


def _words(told: Sequence[Told]) -> str:
    """What they got: an error by its status, and by the word that OpenAI's clients are told."""
    found: dict[str, None] = {}
    for one in sorted(told, key=lambda one: one.kind.dialect != "openai"):
        status, _, code = one.word.partition(" ")
        if not status.isdigit():
            found[one.word] = None
        elif one.kind.dialect == "openai" and code:
            found[f"{status} `{code}`"] = None
        elif not any(word.startswith(status) for word in found):
            found[status] = None
    return ", ".join(found)


def _booked(row: Row) -> str:
    found: dict[str, int] = {}
    for one in [*row.of(stream=False, second=False), *row.of(stream=True, second=False)]:
        if (entry := row.entries.get(one.id)) is not None:
            found[entry["outcome"]] = max(found.get(entry["outcome"], 0), entry["output"])
    return ", ".join(f"{outcome}: {output}" if output else outcome for outcome, output in found.items())
