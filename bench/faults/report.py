"""The page that a run leaves behind: its tables, between two marks in a document that tells the rest."""

from collections.abc import Sequence
from pathlib import Path

from bench.faults import tables
from bench.faults.play import Played
from bench.faults.sweep import Swept

BEGIN, END = "<!-- begin: python -m bench.faults --write -->", "<!-- end -->"


def page(swept: Swept | None, played: Sequence[Played], seconds: float) -> str:
    """All tables."""
    sent = sum(len(one.told) for one in played)
    refused = sum(len(one.refused) for one in played)
    parts = []
    if swept is not None:
        asked = sum(len(row.told) for row in swept.rows)
        sent, refused = sent + asked + len(swept.steady), refused + len(swept.refused)
        told = f"Meanwhile {len(swept.steady)} other requests were sent, and all were answered."
        parts += ["### Providers", tables.providers(swept), told]
    if played:
        parts += ["### The gateway's own parts", tables.parts(played)]
    wrong = len(problems(swept, played))
    how = f"{wrong} things did not hold." if wrong else "All that is promised held."
    parts.insert(0, f"{sent} requests and {refused} without a key, in {seconds:.0f} s. {how}")
    return "\n\n".join(parts)


def problems(swept: Swept | None, played: Sequence[Played]) -> list[str]:
    """All that did not hold, in words."""
    found = [*swept.problems, *(f"{row.name}: {problem}" for row in swept.rows for problem in row.problems)] if swept is not None else []
    return [*found, *(f"{one.name}: {problem}" for one in played for problem in one.problems)]


def write(path: Path, tables: str) -> None:
    """Puts the tables into the document. Raises `ValueError` where it has no place for them."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN!r} and {END!r}")
    path.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}")
