"""The command `headgate`. Each command is one module with `add`, which describes it, and a function that runs it."""

import argparse
import logging
import sys
from pathlib import Path

from extproc.cli import (
    admin,
    catalog,
    check,
    compile_,
    diff,
    doctor,
    explain,
    fleet,
    groups,
    inject,
    injector,
    invoices,
    keys,
    ledger,
    limits,
    notify,
    providers,
    reconcile,
    serve,
    store,
    upgrade,
    usage,
    version,
    wait,
)
from extproc.version import VERSION

_STORY = """\
An AI gateway that lives inside Envoy: one URL in front of many providers, with keys, routing, fallback, a cache and a ledger.

  headgate up                     start everything: Envoy, workers, ledger; no configuration needed
  headgate check gateway.yaml     say everything that is wrong with a configuration
  headgate explain --model NAME   say which way a request would take, and why, without sending it
  headgate diff NEW               say what another configuration changes, and what that does to requests under way
  headgate providers              list the providers that a configuration can name with one word
  headgate keys create alice      make a key for a caller
  headgate teams create research  and organizations, projects, users, service accounts and plans
  headgate admin teams list       the same over the admin API of a running gateway
  headgate usage                  who used what, and what it cost
  headgate invoices --month ...   what each organization owes for a month
  headgate reconcile FILE         compare the ledger with a provider's invoice or usage export
  headgate limits                 what is left of limits and budgets, now
  headgate catalog update FILE    bring newer prices and models, without an upgrade
  headgate notify test            tell the receivers of notifications of nothing, to see whether they hear
  headgate fleet                  show the Envoys that `headgate fleet serve` tells their configuration
  headgate doctor URL             say what in a running Envoy breaks or weakens Headgate
  headgate upgrade                have what is installed now take over, without losing a request
  headgate inject -f app.yaml     put a gateway beside an application on Kubernetes
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; its exit code."""
    parser = argparse.ArgumentParser(prog="headgate", description=_STORY, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"headgate {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        serve,
        check,
        compile_,
        diff,
        explain,
        doctor,
        providers,
        keys,
        groups,
        admin,
        store,
        usage,
        limits,
        reconcile,
        invoices,
        ledger,
        catalog,
        notify,
        upgrade,
        inject,
        injector,
        wait,
        fleet,
        version,
    ):
        module.add(commands)
    given, rest = parser.parse_known_args(arguments)
    if len(rest) == 1 and not rest[0].startswith("-") and getattr(given, "config", ...) is None:
        # argparse before Python 3.13 takes an optional argument for absent when an option stands before it.
        given.config = Path(rest.pop())
    if hasattr(given, "words") and not any(one.startswith("-") for one in rest):
        # Nor does it take some of them before an option, and some behind it.
        given.words, rest = [*given.words, *rest], []
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        return int(given.run(given))
    except KeyboardInterrupt:  # by somebody who needs no traceback to know it
        return 130
    except BrokenPipeError:  # whoever read our output has had enough of it
        sys.stderr.close()
        return 0
