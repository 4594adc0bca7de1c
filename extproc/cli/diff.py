"""`headgate diff`: what another configuration changes, for Headgate, for Envoy, and for what is under way. Exit codes as diff has them."""

import argparse
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from extproc.cli.common import DEFAULT, fault
from extproc.compared.hidden import Marks, fragment_hidden
from extproc.compared.written import Change, changes, plain
from extproc.config.document import read_document
from extproc.config.load import format_problems
from extproc.config.model import Config
from extproc.config.problem import Problems
from extproc.control.source import Source, quickstart
from extproc.control.startup import no_compiler

if TYPE_CHECKING:
    from extproc.compared.resources import Told

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}
_WIDTH = 118
_STDIN = Path("-")


class _Side(Struct, frozen=True):
    name: str
    config: Config
    document: object
    absent: tuple[str, ...]
    """What is left out here, and why."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser(
        "diff", help="say what another configuration changes, and what that does to requests under way; exit code 1 if anything"
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="[OLD] NEW",
        help=f"OLD is {DEFAULT} in this folder unless given; - reads NEW from standard input",
    )
    parser.add_argument("--full", action="store_true", help="with all lines that Envoy would be told otherwise")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compares."""
    if (missing := no_compiler()) is not None:
        print(f"headgate: {missing}", file=sys.stderr)
        return 2
    files = given.files
    if len(files) > 2:
        print("headgate: two files are compared, the old one and the new one", file=sys.stderr)
        return 2
    old_path = files[0] if len(files) == 2 else Path(DEFAULT) if Path(DEFAULT).exists() else quickstart()
    try:
        old, new = _side(old_path, old_path), _side(files[-1], old_path)
    except OSError as error:
        print(f"headgate: {fault(error)}", file=sys.stderr)
        return 2
    if old is None or new is None:
        return 2
    return _compare(old, new, given)


def _side(path: Path, beside: Path) -> _Side | None:
    """None, with what is wrong printed, where it is no configuration."""
    if path != _STDIN:
        return _read(path.absolute(), str(path))
    # What it refers to stands where the other file's does.
    with tempfile.NamedTemporaryFile(dir=beside.absolute().parent, prefix=".headgate-", suffix=".yaml") as file:
        file.write(sys.stdin.buffer.read())
        file.flush()
        return _read(Path(file.name), "-")


def _read(path: Path, name: str) -> _Side | None:
    loaded = Source(path).outline_here()
    root = read_document(path, Problems()) if loaded.config is not None else None
    if loaded.config is None or root is None:
        print(format_problems(loaded.problems, name), file=sys.stderr)
        return None
    return _Side(name, loaded.config, plain(root), tuple(f"{one.kind} {one.name} is left out: {one.reason}" for one in loaded.absent))


def _without_secrets(side: _Side, marks: Marks) -> Any:
    """What stands in the file, where nobody but Envoy knows what is a secret."""
    document = side.document
    if isinstance(document, dict) and "envoy" in document:
        return {**document, "envoy": fragment_hidden(document["envoy"], marks)}
    return document


def _resources(side: _Side, marks: Marks) -> "Told | None":
    """What Envoy is told; None, with the reason printed, where nothing can be."""
    from extproc.compared.resources import resources  # noqa: PLC0415 - heavy: Envoy's types
    from extproc.envoy.places import Places  # noqa: PLC0415

    try:
        return resources(side.config, Places(), marks)
    except ValueError as error:
        # What goes by secrets is not checked without them.
        print(f"headgate: {side.name} cannot be used, and `headgate check` says where it is wrong: {error}", file=sys.stderr)
        return None


def _compare(old: _Side, new: _Side, given: argparse.Namespace) -> int:
    from extproc.compared.effects import effects  # noqa: PLC0415 - heavy: Envoy's types
    from extproc.compared.resources import touched  # noqa: PLC0415

    marks: Marks = {}
    found = list(changes(_without_secrets(old, marks), _without_secrets(new, marks)))
    before, after = _resources(old, marks), _resources(new, marks)
    if before is None or after is None:
        return 2
    at_envoy = touched(before, after, full=given.full)
    told = list(effects(old.config, new.config, at_envoy)) if found or at_envoy else []
    absent = list(dict.fromkeys((*old.absent, *new.absent)))
    if given.json:
        whole = {"headgate": found, "envoy": at_envoy, "effects": told, "left_out": absent}
        print(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
        return int(bool(told))
    if not told:
        print(f"{old.name} and {new.name} say the same")
        return 0
    print(f"Headgate, from {old.name} to {new.name}:")
    for change in found:
        print(f"  {_SIGNS[change.kind]} {_said(change)}")
    print("Envoy:" if at_envoy else "Envoy is told the same.")
    for one in at_envoy:
        print(f"  {_SIGNS[one.change]} {one.kind} {one.name}")
    for line in absent:
        print(f"  {line}")
    for one in at_envoy:
        if one.diff:
            print(f"\n{one.diff}")
    print("\nIt takes effect:" if given.full else "It takes effect:")
    for what in told:
        print(textwrap.fill(what, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))
    return 1


def _said(change: Change) -> str:
    match change.kind:
        case "changed":
            return f"{change.path}: {change.before} -> {change.after}"
        case "moved":
            return f"{change.path}, their order: {change.before} -> {change.after}"
    return f"{change.path}: {change.before or change.after}"
