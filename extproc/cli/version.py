"""`headgate version`."""

import argparse
import platform

from extproc.version import VERSION


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("version", help="print versions")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Prints them."""
    import grpc  # noqa: PLC0415 - only to name its version

    print(f"headgate {VERSION} (Python {platform.python_version()}, grpcio {grpc.__version__})")
    return 0
