"""What is wrong with a configuration, where, and how that is told to people."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning"]


class Mark(Struct, frozen=True):
    """A place in the file. Both count from 1; 0 is "nowhere in particular"."""

    line: int = 0
    column: int = 0


class Problem(Struct, frozen=True):
    """One mistake, or (a warning) one thing that the operator should know."""

    path: str
    """Like `$.providers.openai.key`; `$` is the whole file."""
    message: str
    """What is wrong and what to do. Never holds a value that came from a reference."""
    line: int = 0
    column: int = 0
    severity: Severity = "error"


class Problems:
    """Collects problems while a file is read."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Problem] = {}
        self.errors = 0
        """How many of them are errors."""

    def error(self, path: str, mark: Mark, message: str) -> None:
        """Something that keeps the configuration from being used."""
        self._add(Problem(path, message, mark.line, mark.column, "error"))

    def warning(self, path: str, mark: Mark, message: str) -> None:
        """Something that works, but that the operator should know."""
        self._add(Problem(path, message, mark.line, mark.column, "warning"))

    def listed(self) -> list[Problem]:
        """All of them in the order of the file."""
        return sorted(self._found.values(), key=lambda problem: (problem.line, problem.column))

    def _add(self, problem: Problem) -> None:
        # The same key may be looked at twice (by its type and by a cross check); once is enough to say it.
        if self._found.setdefault((problem.path, problem.message), problem) is problem:
            self.errors += problem.severity == "error"


def format_problems(problems: Iterable[Problem], path: Path | str) -> str:
    """One line a problem, in the form that editors and CI systems can follow: `file:line:column: severity: $.path: message`."""
    lines = []
    for problem in problems:
        place = f"{path}:{problem.line}:{problem.column}" if problem.line else f"{path}"
        about = "" if problem.path == "$" else f"{problem.path}: "
        lines.append(f"{place}: {problem.severity}: {about}{problem.message}")
    return "\n".join(lines)
