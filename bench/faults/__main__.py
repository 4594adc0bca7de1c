"""`python -m bench.faults`: breaks things under load, and tells what came of it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.children import ROOT
from bench.faults import report, stages

_DESCRIPTION = """\
A whole gateway (two workers, Envoy, keys) under steady load in three dialects, streamed and not, with intruders among the callers; and one
thing after another that breaks: providers in all the ways that providers break, and the gateway's own parts. Whatever is broken, nobody
gets somebody else's answer, nobody gets in without a key, and what reached a provider is in the ledger once. Exit status 1: something of
that did not hold, or a request failed in a way that its scenario does not explain."""
PAGE = ROOT / "docs" / "reliability.md"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="only these scenarios; `*` stands for anything")
    parser.add_argument("--list", action="store_true", help="show the scenarios, and break nothing")
    parser.add_argument("--each", type=int, default=1, metavar="N", help="requests of each kind to each provider (default: %(default)s)")
    parser.add_argument("--write", type=Path, nargs="?", const=PAGE, metavar="FILE", help="put the tables into docs/reliability.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = stages.chosen(given.only)
    if given.list:
        print("\n".join(names))
        return 0
    if not names:
        parser.error("there is no such scenario: see --list")
    began = time.monotonic()
    swept, played = asyncio.run(stages.run(names, lambda line: _tell(began, line), each=given.each))
    page = report.page(swept, played, time.monotonic() - began)
    print(page)
    problems = report.problems(swept, played)
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    if given.write and not problems:
        report.write(given.write, page)
    return 1 if problems else 0


def _tell(began: float, line: str) -> None:
    print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
