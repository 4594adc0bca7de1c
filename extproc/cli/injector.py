"""`headgate injector`: the webhook that puts sidecars into pods."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from extproc.cli.common import fault, port_number
from extproc.config.problem import format_problems


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("injector", help="serve the Kubernetes webhook that puts a gateway beside applications")
    add_settings(parser)
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file of the webhook's certificate; a new one is taken at once")
    parser.add_argument("--key", type=Path, required=True, help="PEM file of its private key")
    parser.add_argument("--address", default="0.0.0.0", help="address to bind (default: %(default)s)")  # noqa: S104 - the API server comes from elsewhere
    parser.add_argument("--port", type=port_number, default=8443, help="TCP port (default: %(default)s)")
    delay = "seconds that it serves on when it is asked to end, for API servers that hear of it later (default: %(default)s)"
    parser.add_argument("--drain-delay", type=float, default=5.0, metavar="SECONDS", help=delay)
    parser.set_defaults(run=run)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what sidecars are like."""
    parser.add_argument("--settings", type=Path, metavar="FILE", help="what sidecars are like (docs/injector.md); defaults unless given")
    parser.add_argument("--kubernetes-version", metavar="VERSION", help="the cluster's, such as 1.33, for `mode: auto`")


def run(given: argparse.Namespace) -> int:
    """Serves it."""
    from extproc.injector.certificate import Certificate  # noqa: PLC0415 - no other command needs them
    from extproc.injector.cluster import Cluster, parse_version  # noqa: PLC0415
    from extproc.injector.server import serve  # noqa: PLC0415
    from extproc.injector.settings import Settings, read_settings  # noqa: PLC0415

    settings = Settings()
    if given.settings is not None:
        read, problems = read_settings(given.settings, os.environ)
        if problems:
            print(format_problems(problems, given.settings), file=sys.stderr)
        if read is None:
            return 2
        settings = read
    try:
        version = parse_version(given.kubernetes_version) if given.kubernetes_version is not None else None
        certificate = Certificate(given.certificate, given.key)
        asyncio.run(serve(settings, Cluster(version=version), certificate, (given.address, given.port), given.drain_delay))
    except (OSError, ValueError) as error:
        print(f"headgate: {fault(error)}", file=sys.stderr)
        return 2
    return 0
