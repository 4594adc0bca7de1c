"""`python -m bench.faults`: breaks things under load, and tells what came of it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase

from bench.faults import tables
from bench.faults.expected import FATES
from bench.faults.setting import gateway, providers
from bench.faults.sweep import Swept, sweep

_DESCRIPTION = """\
A whole gateway (two workers, Envoy, keys) under steady load in three dialects, streamed and not, with intruders among the callers; and one
thing after another that breaks: providers in all the ways that providers break, and the gateway's own parts. Whatever is broken, nobody
gets somebody else's answer, nobody gets in without a key, and what reached a provider is in the ledger once. Exit status 1: something of
that did not hold, or a request failed in a way that its scenario does not explain."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="only these scenarios; `*` stands for anything")
    parser.add_argument("--list", action="store_true", help="show the scenarios, and break nothing")
    parser.add_argument("--each", type=int, default=1, metavar="N", help="requests of each kind to each provider (default: %(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    faults = [name for name in FATES if any(fnmatchcase(name, pattern) for pattern in given.only)]
    if given.list:
        print("\n".join(f"{name:<20} {FATES[name].what}" for name in faults))
        return 0
    if not faults:
        parser.error("there is no such scenario: see --list")
    began = time.monotonic()
    swept = asyncio.run(_run(faults, given.each))
    print(tables.providers(swept))
    print(f"\n{len(swept.steady)} other requests meanwhile, {len(swept.refused)} without a key; {time.monotonic() - began:.0f} s")
    problems = [*swept.problems, *(f"{row.name}: {problem}" for row in swept.rows for problem in row.problems)]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _run(faults: Sequence[str], each: int) -> Swept:
    async with providers() as (folder, hostile), gateway(folder, hostile, faults) as setting:
        return await sweep(setting, faults, each=each)


if __name__ == "__main__":
    sys.exit(main())
