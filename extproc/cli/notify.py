"""`headgate notify test`: tells receivers of nothing, to see whether they hear."""

import argparse
import asyncio
import sys

from extproc.cli.common import add_source, load, source
from extproc.config.egress import Egress
from extproc.config.notifications import Receiver


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("notify", help="try the receivers of notifications")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="send a notification of the type `test`, at once and once; exit code 1 if it is not taken")
    add_source(test)
    test.add_argument("--receiver", action="append", default=[], metavar="NAME", help="only this one; may be given several times")
    test.set_defaults(run=_test)


def _test(given: argparse.Namespace) -> int:
    which = source(given)
    loaded = load(which)
    if loaded is None or loaded.config is None:
        return 2
    receivers = {one.name: one for one in loaded.config.notifications.receivers}
    if missing := [name for name in given.receiver if name not in receivers]:
        print(f"{which.path}: there is no receiver {', '.join(missing)} under `notifications`", file=sys.stderr)
        return 2
    if not receivers:
        print(f"{which.path}: nobody is notified: there is no receiver under `notifications`", file=sys.stderr)
        return 2
    wanted = [receivers[name] for name in given.receiver] or list(receivers.values())
    return asyncio.run(_tell(wanted, loaded.config.egress))


async def _tell(receivers: list[Receiver], egress: Egress | None) -> int:
    faults = await asyncio.gather(*(_fault(one, egress) for one in receivers))
    for receiver, fault in zip(receivers, faults, strict=True):
        print(f"{receiver.name}: {fault or 'taken'}", file=sys.stderr if fault else sys.stdout)
    return 1 if any(faults) else 0


async def _fault(receiver: Receiver, egress: Egress | None) -> str:
    """Why it was not taken; empty if it was."""
    from extproc.control.notifications import delivery  # noqa: PLC0415 - slow, and no other command needs it
    from extproc.control.trust import ca_file  # noqa: PLC0415 - as above
    from extproc.control.way_out import WayOut  # noqa: PLC0415 - as above
    from extproc.notifications.delivery import Undelivered  # noqa: PLC0415 - as above
    from extproc.notifications.event import test  # noqa: PLC0415 - as above
    from extproc.notifications.outbox import Waiting  # noqa: PLC0415 - as above

    try:
        await delivery(receiver, ca_file, WayOut(egress)).deliver([Waiting(0, test(receiver.name), 1)])
    except Undelivered as why:
        return f"not taken: {why}"
    return ""
