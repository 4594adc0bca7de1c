"""What several commands share: which configuration, which state folder, and what they look like in `--help`."""

import argparse
import os
import sys
from pathlib import Path

from extproc.config.load import Advice, Loaded, format_problems, nothing
from extproc.config.model import Config
from extproc.config.references import References, Unresolved
from extproc.config.sidecar import Sidecar, place
from extproc.control.source import Source, quickstart

DEFAULT = "gateway.yaml"


def add_source(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a configuration."""
    text = f"configuration file; {DEFAULT} in this folder unless given, or the built-in quickstart where there is none"
    parser.add_argument("config", nargs="?", type=Path, help=text)
    parser.add_argument("--state", type=Path, help="state folder (journal, ledger, keys) instead of the one that the configuration names")


def add_sidecar(parser: argparse.ArgumentParser) -> None:
    """The arguments that have a gateway stand beside one application."""
    text = "stand beside one application: requests are taken at 127.0.0.1:PORT, whatever `listener` says, and there is no admin API"
    parser.add_argument("--sidecar", type=port_number, metavar="PORT", help=text)
    parser.add_argument("--admin", type=_place, metavar="ADDRESS:PORT", help="with --sidecar: the operator's port, whatever `admin` says")
    text = "with --sidecar: how long it takes requests after SIGTERM, whatever `drain_delay` says"
    parser.add_argument("--drain-delay", type=float, metavar="SECONDS", help=text)


def port_number(text: str) -> int:
    """A TCP port on the command line. Raises `ArgumentTypeError`."""
    if not (text.isdecimal() and text.isascii() and len(text) < 6 and 0 < int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text} is no port: a number from 1 to 65535")
    return int(text)


def _place(text: str) -> tuple[str, int]:
    try:
        return place(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def source(given: argparse.Namespace) -> Source:
    """The configuration that the arguments name."""
    path = given.config
    if path is None:
        path = Path(DEFAULT) if Path(DEFAULT).exists() else quickstart()
    return Source(path.absolute(), given.state, sidecar=_sidecar(given))


def _sidecar(given: argparse.Namespace) -> Sidecar | None:
    if not hasattr(given, "sidecar"):
        return None
    if given.sidecar is not None:
        return Sidecar(given.sidecar, given.admin, given.drain_delay)
    for option, value in (("--admin", given.admin), ("--drain-delay", given.drain_delay)):
        if value is not None:
            print(f"{option}: this is for --sidecar; without it the configuration says so", file=sys.stderr)
            raise SystemExit(2)
    return None


def load(which: Source, faults: Advice = nothing, advice: Advice = nothing, *, lints: bool = False) -> Loaded | None:
    """The checked configuration; None, with everything that is wrong printed, if it cannot be used. Warnings are printed, too.
    `faults`, `advice`, `lints`: see `config.load.load`.
    """
    loaded = which.load(faults, advice, lints=lints)
    if loaded.problems:
        print(format_problems(loaded.problems, which.path), file=sys.stderr)
    return loaded if loaded.config is not None else None


def state_folder(given: argparse.Namespace, *, reading: bool = False) -> tuple[Path, Config | None]:
    """The state folder that a command works on, and the configuration that goes with it.

    Providers' secrets need not be there. With `--state` the command does without a configuration that is not there or not right. `reading`:
    it makes nothing, so that a folder which is named, but not there, is a mistake. Raises `SystemExit` where it cannot work.
    """
    if reading and given.state is not None and not given.state.is_dir():
        print(f"--state: there is no folder {given.state.absolute()}", file=sys.stderr)
        raise SystemExit(2)
    which = source(given)
    loaded = which.outline()
    if loaded.config is not None:
        return which.state_folder(loaded.config), loaded.config
    if given.state is not None and given.config is None:
        return given.state.absolute(), None
    print(format_problems(loaded.problems, which.path), file=sys.stderr)
    # Of identities in PostgreSQL the configuration alone says where they are.
    print("mend that, or name the state folder instead of the configuration: --state FOLDER", file=sys.stderr)
    raise SystemExit(2)


def resolved(text: str) -> str:
    """What `env:NAME` or `file:PATH` on the command line stands for. Raises `ValueError`."""
    found = References(os.environ, Path.cwd()).resolve(text, secret=True)
    if isinstance(found, Unresolved):
        raise ValueError(found.message)  # noqa: TRY004 - it is a value that is wrong
    return found.text


def fault(error: Exception) -> str:
    """What is wrong, in words: without the number that the system has for it."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)
