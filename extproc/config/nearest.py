"""The right name that somebody probably meant."""

import difflib
from collections.abc import Iterable


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The one of `names` that looks most like `word`, if any looks like it at all. Case, `-` and `_` count for little."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    close = difflib.get_close_matches(_plain(word[:256]), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def hint(word: str, names: Iterable[str], what: str) -> str:
    """The end of a sentence about the wrong `word`: the nearest of `names`, or else all of them, introduced by `what`."""
    known = list(names)
    near = nearest(word, known)
    if near is not None:
        return f"; did you mean {quoted(near)}?"
    return f"; {what}: {', '.join(known[:40])}" if known else ""


def quoted(text: str) -> str:
    """`text` in double quotes for a message: cut short, and without anything that could disturb a terminal."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:80])
    return f'"{shown}{"..." if len(text) > 80 else ""}"'


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
