"""`headgate version`."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

from extproc.version import VERSION


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("version", help="print versions")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Prints them."""
    print(f"headgate {VERSION} (Python {platform.python_version()}, {_grpcio()})")
    return 0


def _grpcio() -> str:
    # Optional: `transport: grpcio`.
    try:
        return f"grpcio {version('grpcio')}"
    except PackageNotFoundError:
        return "without grpcio"
