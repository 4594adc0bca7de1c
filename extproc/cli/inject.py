"""`headgate inject`: what the webhook does, to manifests."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from extproc.cli.common import fault
from extproc.cli.injector import add_settings
from extproc.config.problem import format_problems


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("inject", help="put a gateway beside the applications of Kubernetes manifests, as the webhook does")
    parser.description = "Prints the manifests with the sidecar in all that make pods: kubectl apply -f <(headgate inject -f app.yaml)"
    parser.add_argument("-f", "--file", required=True, metavar="FILE", help="manifests, as YAML or JSON; `-` for standard input")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints them."""
    import yaml  # noqa: PLC0415 - as below

    from extproc.injector.cluster import has_native_sidecars, parse_version  # noqa: PLC0415 - no other command needs them
    from extproc.injector.inject import inject  # noqa: PLC0415
    from extproc.injector.manifests import Manifests  # noqa: PLC0415
    from extproc.injector.settings import Settings, read_settings  # noqa: PLC0415

    settings, problems = (Settings(), []) if given.settings is None else read_settings(given.settings, os.environ)
    if problems:
        print(format_problems(problems, given.settings), file=sys.stderr)
    if settings is None:
        return 2
    try:
        # Every version that is still cared for has them.
        native = given.kubernetes_version is None or has_native_sidecars(parse_version(given.kubernetes_version))
        text = sys.stdin.read() if given.file == "-" else Path(given.file).read_text(encoding="utf-8")
        manifests = Manifests(partial(inject, settings=settings, native=native))
        made = manifests.injected(text)
    except OSError as error:
        print(f"headgate: {fault(error)}", file=sys.stderr)
        return 2
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        print(f"headgate: {given.file}{_explained(error)}", file=sys.stderr)
        return 2
    for line in manifests.told:
        print(f"headgate: {line}", file=sys.stderr)
    print(made, end="")
    return 0


def _explained(error: Exception) -> str:
    """What is wrong, in a line, with its place if it has one."""
    if isinstance(error, UnicodeDecodeError):
        return ": the file is not in UTF-8"
    if isinstance(error, RecursionError):
        return ": this is nested too deeply"
    # Both of PyYAML, whose own words for them are of several lines, and name no file.
    if (mark := getattr(error, "problem_mark", None)) is not None:
        return f":{mark.line + 1}:{mark.column + 1}: this is not YAML: {getattr(error, 'problem', None)}"
    if (position := getattr(error, "position", None)) is not None:
        return f": character {position + 1} is a control character; take it out"
    return f": {error}"
