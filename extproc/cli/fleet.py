"""`headgate fleet`: the control plane of several Envoys, and how they stand."""

import argparse
import asyncio
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

from extproc.cli.common import add_source, fault, load, source, state_folder
from extproc.cli.lock import CONTROL_PLANE, hold, unusable
from extproc.cli.table import print_json, print_table
from extproc.config.fleet import Fleet
from extproc.config.load import Loaded
from extproc.control.ports import obstacle
from extproc.control.source import Source
from extproc.control.startup import no_compiler
from extproc.version import VERSION

_NO_GRPCIO = "grpcio is not installed, which the control plane needs: `pip install 'headgate[envoy,fleet]'`"
_WHATS = ("status", "serve", "promote", "rollback")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("fleet", help="tell several Envoys their configuration over the network (xDS), and show how they stand")
    what = "status (the default): show the nodes; serve: run the control plane; promote: do not wait for the canaries; rollback: go back"
    parser.add_argument("what", nargs="?", type=_what, default="status", metavar=f"{{{','.join(_WHATS)}}}", help=what)
    add_source(parser)
    parser.add_argument("--json", action="store_true", help="the status as JSON")
    parser.set_defaults(run=run)


def _what(text: str) -> str | Path:
    """One of them, or a configuration whose status is asked for. Raises `ArgumentTypeError` for what looks like neither."""
    if text in _WHATS:
        return text
    path = Path(text)
    if path.suffix or path.exists():
        return path
    raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(_WHATS)}, and no file")


def run(given: argparse.Namespace) -> int:
    """Serves, or asks the control plane that does."""
    if isinstance(given.what, Path):
        if given.config is not None:
            print(f"headgate: the configuration stands last: headgate fleet {given.config} {given.what}", file=sys.stderr)
            return 2
        given.what, given.config = "status", given.what
    if given.what == "serve":
        return _serve(given)
    state, _ = state_folder(given, reading=True)
    try:
        answer = asyncio.run(_ask(state, given.what))
    except OSError:
        print(f"headgate: no control plane runs on {state}: `headgate fleet serve` is one", file=sys.stderr)
        return 1
    if given.what == "status":
        print_json(answer) if given.json else _print(answer)
        return 0
    if not answer["done"]:
        print(
            "headgate: there is nothing to promote" if given.what == "promote" else "headgate: no version before is kept", file=sys.stderr
        )
    return 0 if answer["done"] else 1


def _serve(given: argparse.Namespace) -> int:
    which = source(given)
    loaded = load(which)
    if loaded is None or loaded.config is None:
        return 2
    if loaded.config.fleet is None:
        print(f"headgate: {which.path} has no section `fleet`: `fleet: {{}}` is one for this machine alone", file=sys.stderr)
        return 2
    missing = no_compiler() or (_NO_GRPCIO if importlib.util.find_spec("grpc") is None else None)
    if missing is not None:
        print(f"headgate: {missing}", file=sys.stderr)
        return 2
    state = which.state_folder(loaded.config)
    try:
        lock = hold(state, CONTROL_PLANE, "a control plane")
    except OSError as error:
        print(f"headgate: {unusable(state, error)}", file=sys.stderr)
        return 1
    try:
        return _run(which, loaded, loaded.config.fleet)
    finally:
        os.close(lock)


def _run(which: Source, loaded: Loaded, fleet: Fleet) -> int:
    from extproc.control.controlplane import serve  # noqa: PLC0415 - heavy, and no other command needs it

    # What gRPC says of a port that is taken is not for people.
    if fleet.port and (what := obstacle(fleet.address, fleet.port)) is not None:
        print(f"headgate: {what}. Stop that, or set another one: `fleet: {{port: ...}}`.", file=sys.stderr)
        return 1
    print(f"Headgate {VERSION} is starting the control plane with {which.path} ...", file=sys.stderr)
    try:
        asyncio.run(serve(which, loaded))
    except (OSError, ValueError) as error:
        print(f"headgate: {fault(error)}", file=sys.stderr)
        return 1
    return 0


async def _ask(state: Path, what: str) -> dict[str, Any]:
    import aiohttp  # noqa: PLC0415 - slow, and `--help` needs it not

    from extproc.control.run_dir import fleet_socket  # noqa: PLC0415

    connector, method = aiohttp.UnixConnector(str(fleet_socket(state))), "GET" if what == "status" else "POST"
    try:
        async with aiohttp.ClientSession(connector=connector) as session, session.request(method, f"http://fleet/{what}") as response:
            answer: dict[str, Any] = await response.json()
            return answer
    except aiohttp.ClientError as error:
        # Also where it ends while it is asked, which aiohttp does not take for an OSError.
        raise OSError(error) from error


_PHASES = {
    "none": "no version yet",
    "steady": "{stable} is everywhere",
    "canary": "{candidate} is at the canaries; the others have {stable}",
    "spreading": "{candidate} goes to all nodes",
}


def _print(status: dict[str, Any]) -> None:
    print(f"version    {_PHASES[status['phase']].format(**status)}")
    if (refusal := status["refusal"]) is not None:
        who = f"{refusal['node']} refused it ({refusal['kind']}): " if refusal["node"] else ""
        print(f"taken back {refusal['version']}: {who}{refusal['why']}")
    nodes = status["nodes"]
    print(f"nodes      {sum(node['connected'] for node in nodes)} connected\n")
    rows = [("node", "canary", "envoy", "protocol", "address", "since", "has", "state")]
    rows += [
        (
            node["id"], "yes" if node["canary"] else "", node["envoy"], node["protocol"], node["address"], _when(node["since"]),
            node["complete"], _state(node),
        )
        for node in nodes
    ]  # fmt: skip
    print_table(rows)


def _state(node: dict[str, Any]) -> str:
    nack = node["nack"]
    if not node["connected"]:
        return "gone"
    if nack is not None and nack["version"] == node["wanted"]:
        return f"refuses {nack['kind']}: {nack['why']}"
    return "has all" if node["complete"] == node["wanted"] else f"is told {node['wanted']}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
