"""`headgate doctor`: what in an Envoy that somebody runs breaks or weakens Headgate."""

import argparse
import sys
from pathlib import Path

from extproc.cli.common import load
from extproc.config.model import Limits
from extproc.control.source import Source


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("doctor", help="say what in a running Envoy's configuration breaks or weakens Headgate")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("url", nargs="?", metavar="URL", help="the Envoy's admin port: http://127.0.0.1:9901, or unix:/path of its socket")
    where.add_argument("--file", type=Path, metavar="DUMP", help="what its /config_dump had said, kept in a file, instead of asking it")
    parser.add_argument(
        "--config", type=Path, metavar="GATEWAY.YAML", help="check against the limits of this configuration, not the defaults"
    )
    parser.add_argument("--gate", metavar="NAME", help="the gate's filter has this name, such as Envoy Gateway gives it")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where something is weakened, too")
    parser.add_argument("--json", action="store_true", help="an array of objects, for programs")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Reads, and tells: 2 where something breaks, or nothing could be read."""
    from extproc.doctor.admin import Unreadable, ask, read  # noqa: PLC0415 - of all commands, this one needs it
    from extproc.doctor.examine import examine  # noqa: PLC0415
    from extproc.doctor.report import as_json, as_text  # noqa: PLC0415

    limits = Limits()
    if given.config is not None:
        loaded = load(Source(given.config.absolute(), None))
        if loaded is None or loaded.config is None:
            return 2
        limits = loaded.config.limits
    try:
        dump = read(given.file, limits, given.gate) if given.file is not None else ask(given.url, limits, given.gate)
    except Unreadable as error:
        print(f"headgate: {error}", file=sys.stderr)
        return 2
    findings = examine(dump)
    where = str(given.file or given.url)
    print(as_json(findings) if given.json else as_text(findings, ".".join(map(str, dump.version)), where), end="\n" if given.json else "")
    if any(one.level == "breaks" for one in findings):
        return 2
    return 1 if findings and given.strict else 0
