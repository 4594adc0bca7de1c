"""`python -m bench`: measures, prints the tables, and writes the report."""

import argparse
import asyncio
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import cells, report
from bench.cells import Cell, choose
from bench.children import ROOT
from bench.outcome import Outcome
from bench.run import FEW, Settings, measure
from bench.system import System
from bench.systems import Headgate, own

_DESCRIPTION = """\
Measures Headgate against bare Envoy, against a no-op ext_proc server and, with --peers, against other gateways: all on one mock
provider, in turns. No keys, no network. The tables are printed, and written with all raw turns to docs/benchmarks."""

_EPILOG = """\
cells: json-10k-c16 (10 KB bodies, 16 at a time, not streamed), hit-... (answered from the cache), sse10-... (streams of 10 events),
growth-... (few keys and routes, and many). For example: --cells 'sse*' 'json-10k-*' --systems envoy 'headgate*'
How it is measured, and what may be claimed: docs/benchmarks/README.md"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="three short rounds of three cells: shows that it works, good for no claim")
    size.add_argument("--full", action="store_true", help="every size at every concurrency for every system: a quarter of an hour")
    parser.add_argument("--peers", action="store_true", help="other gateways as well, which `make bench-peers` installs")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 9; quick: 3")
    parser.add_argument("--turn", type=float, metavar="SECONDS", help="length of one turn (default: 0.4; quick: 0.15)")
    parser.add_argument("--gap", type=float, default=0.002, metavar="SECONDS", help="between a stream's events (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=1_000_000, metavar="N", help="keys of the larger gateway in the growth cell")
    parser.add_argument("--routes", type=int, default=10_000, metavar="N", help="its routes (defaults: 1000000 and 10000)")
    parser.add_argument("--cells", nargs="+", default=[], metavar="PATTERN", help="only these cells")
    parser.add_argument("--systems", nargs="+", default=[], metavar="PATTERN", help="only these systems")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", metavar="FOLDER", help="where the report goes")
    parser.add_argument("--list", action="store_true", help="show the cells and their systems, and measure nothing")
    return parser


def _systems(settings: Settings, *, with_peers: bool) -> tuple[dict[str, System], dict[str, str]]:
    """All systems by name, and versions of those that are not ours."""
    few, many = cells.GROWTH
    growth = [Headgate(few, keys=FEW, routes=FEW), Headgate(many, keys=settings.keys, routes=settings.routes)]
    found: list[System] = [*own(), *growth]
    versions: dict[str, str] = {}
    if with_peers:
        # They need what only `make bench-peers` installs.
        from bench.peers import peers  # noqa: PLC0415

        others = peers()
        found += others
        versions = {peer.name: peer.versions for peer in others}
    return {system.name: system for system in found}, versions


def _plan(given: argparse.Namespace, systems: dict[str, System]) -> tuple[Cell, ...]:
    everything = cells.full() if given.full else cells.QUICK if given.quick else cells.DEFAULT
    ours = {*cells.ALL, *cells.GROWTH}
    return choose(everything, given.cells, given.systems, tuple(name for name in systems if name not in ours))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the command."""
    parser = _parser()
    given = parser.parse_args(arguments)
    settings = Settings(
        rounds=given.rounds or (3 if given.quick else 9),
        seconds=given.turn or (0.15 if given.quick else 0.4),
        gap=given.gap,
        keys=given.keys,
        routes=given.routes,
        translation=not (given.cells or given.systems),
    )
    systems, peers = _systems(settings, with_peers=given.peers)
    try:
        plan = _plan(given, systems)
    except ValueError as error:
        parser.error(str(error))
    if given.list:
        print("\n".join(f"{cell.name:<18} {', '.join(cell.systems)}" for cell in plan))
        return 0
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        outcome = asyncio.run(_interruptible(plan, systems, settings, command, peers))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _tell("broken off; nothing was written")
        return 130
    except (RuntimeError, OSError) as error:
        _tell(str(error))
        return 1
    print(report.terminal(outcome))
    written = report.write(outcome, given.out)
    print(f"\nwritten: {', '.join(map(report.relative, written))}")
    return 0


async def _interruptible(
    plan: Sequence[Cell], systems: dict[str, System], settings: Settings, command: str, peers: dict[str, str]
) -> Outcome:  # fmt: skip
    task = asyncio.ensure_future(measure(plan, systems, settings, command=command, tell=_tell, peers=peers))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await task


_began = time.monotonic()


def _tell(line: str) -> None:
    print(f"[{time.monotonic() - _began:5.0f} s] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
