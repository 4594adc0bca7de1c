"""`headgate wait`: until the gateway of this machine is ready. For whoever starts something after it."""

import argparse
import http.client
import sys
import time

from extproc.cli.common import port_number

_LOOK_EVERY = 0.1
_ADDRESSES = ("127.0.0.1", "::1")
"""One that listens at `::` does so by IPv6 alone."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("wait", help="wait until the gateway of this machine is ready; exit code 1 if it is not in time")
    parser.add_argument("--port", type=port_number, default=9180, help="the operator's port (default: %(default)s)")
    parser.add_argument("--within", type=float, default=60.0, metavar="SECONDS", help="how long (default: %(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Waits."""
    deadline = time.monotonic() + given.within
    while (missing := _missing(given.port)) is not None:
        if time.monotonic() > deadline:
            print(f"headgate: not ready after {given.within:g} s: {missing}", file=sys.stderr)
            return 1
        time.sleep(_LOOK_EVERY)
    return 0


def _missing(port: int) -> str | None:
    """What the gateway waits for; None if it is ready."""
    told = ""
    for address in _ADDRESSES:
        try:
            said = _said(address, port)
        except (OSError, http.client.HTTPException) as error:
            told = told or str(error)
        else:
            return said
    return told


def _said(address: str, port: int) -> str | None:
    """The same, as that address says it."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        said = response.read().decode(errors="replace")
    finally:
        connection.close()
    return None if response.status == http.client.OK else said
