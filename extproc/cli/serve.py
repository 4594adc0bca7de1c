"""`headgate up` and `headgate serve`: the gateway with an Envoy of its own, and without."""

import argparse
from pathlib import Path

from extproc.cli.common import add_sidecar, add_source


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes both commands."""
    up = commands.add_parser("up", help="start the gateway: Envoy, workers and all")
    add_source(up)
    add_sidecar(up)
    up.set_defaults(run=lambda given: _run(given, with_envoy=True))
    serve = commands.add_parser("serve", help="start the ext_proc server alone, for an Envoy that is already there")
    add_source(serve)
    sockets = "folder of the sockets that Envoy connects to (default: %(default)s)"
    serve.add_argument("--run-dir", type=Path, default=Path("/run/headgate"), help=sockets)
    private = "only this machine can reach that Envoy: callers need no keys, and Host and Origin have to be loopback"
    serve.add_argument("--private", action="store_true", help=private)
    serve.set_defaults(run=lambda given: _run(given, with_envoy=False))


def _run(given: argparse.Namespace, *, with_envoy: bool) -> int:
    # Half of all that there is to import, and no other command needs it.
    from extproc.cli.running import run_gateway  # noqa: PLC0415

    return run_gateway(given, with_envoy=with_envoy)
