"""`headgate upgrade`: the version that is installed now takes over from the gateway that runs, without losing a request."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from extproc.cli.common import add_sidecar, add_source, load, source, state_folder
from extproc.version import VERSION

_ASK_EVERY = 0.1
_HEARD_WITHIN = 30.0
_PATIENCE = 600.0


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("upgrade", help="replace the gateway that runs by the version that is installed, without losing a request")
    add_source(parser)
    add_sidecar(parser)
    check = "only say whether the version that is installed could take over; exit code 2 if not"
    parser.add_argument("--check", action="store_true", help=check)
    parser.add_argument("--serve", action="store_true", help="with --check: it is a `headgate serve` that runs")
    parser.add_argument("--private", action="store_true", help="with --check: that one has been told --private")
    parser.set_defaults(run=run, strict=False)


def run(given: argparse.Namespace) -> int:
    """Asks for it, and waits for its end."""
    from extproc.control.handover import holder  # noqa: PLC0415 - no other command needs it

    if given.check:
        return _check(given)
    state, _ = state_folder(given, reading=True)
    pid = holder(state)
    if pid is None:
        print(f"headgate: no gateway runs on {state}", file=sys.stderr)
        return 1
    return _ask(state, pid)


def _ask(state: Path, pid: int) -> int:
    from extproc.control.handover import holder, status  # noqa: PLC0415 - as above

    before = status(state).number
    os.kill(pid, signal.SIGUSR2)
    began, told = time.monotonic(), ""
    while not (now := status(state)).final or now.number == before:
        waited = time.monotonic() - began
        if holder(state) != pid:
            print(f"headgate: the gateway (pid {pid}) has ended; its log says why", file=sys.stderr)
            return 1
        if waited > (_PATIENCE if now.number != before else _HEARD_WITHIN):
            print(f"headgate: the gateway (pid {pid}) has not finished after {waited:.0f} s; its log says what it does", file=sys.stderr)
            return 1
        if now.number != before and now.stage != told:
            told = now.stage
            print(f"{told} ...", file=sys.stderr)
        time.sleep(_ASK_EVERY)
    for line in now.said:
        print(f"headgate: {line}", file=sys.stderr)
    if now.stage == "refused":
        print(f"headgate: refused; {now.version} goes on as before", file=sys.stderr)
        return 2
    print(f"Headgate {now.version} serves (pid {pid}); what had begun before ends where it began")
    return 1 if now.said else 0


def _check(given: argparse.Namespace) -> int:
    """All that can be found out without touching what runs."""
    which = source(given)
    loaded = load(which)
    if loaded is None or loaded.config is None:
        return 2
    # All that a gateway is made of: what is missing, or broken, is found here and not when there is no way back.
    import extproc.worker  # noqa: F401, PLC0415
    from extproc.cli import check  # noqa: PLC0415
    from extproc.cli.running import is_open  # noqa: PLC0415
    from extproc.control.handover import holder  # noqa: PLC0415

    state = which.state_folder(loaded.config)
    if holder(state) is None:
        print(f"headgate: no gateway runs on {state}; another `state` takes effect at the next start", file=sys.stderr)
        return 2
    if given.serve and is_open(given, loaded, state):
        print("headgate: there are no keys any more, so everybody who reaches that Envoy could use the gateway", file=sys.stderr)
        return 2
    given.no_envoy = given.serve
    code = check.run(given)
    if not code:
        print(f"Headgate {VERSION} could take over")
    return code
