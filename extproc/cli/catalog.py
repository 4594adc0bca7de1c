"""`headgate catalog`: dated prices and models without an upgrade. A running gateway notices within seconds."""

import argparse
import asyncio
import ssl
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from extproc.cli.common import add_source, fault, state_folder
from extproc.control.bounded import up_to
from extproc.errors import ConfigError
from extproc.ledger.installed import Entry, Installed, from_file
from extproc.ledger.sheet import MOST_BYTES, encode

_PATIENCE = 60.0
"""Seconds that a download may take."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("catalog", help="bring, show and take away dated prices and models")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    update = actions.add_parser("update", help="put a catalogue in force: a file, or an https URL; `-` is standard input")
    update.add_argument("origin", metavar="FILE|URL")
    update.set_defaults(run=_update)
    show = actions.add_parser("show", help="say which catalogue is in force, and which were before")
    show.set_defaults(run=_show)
    revert = actions.add_parser("revert", help="go back to the catalogue before, or to the built-in list")
    revert.set_defaults(run=_revert)
    for action in (update, show, revert):
        add_source(action)
    export = actions.add_parser("export", help="print the built-in list (genai-prices) as a catalogue")
    export.add_argument("--provider", action="append", default=[], metavar="ID", help="only this one; may be given several times")
    export.add_argument("--date", type=date.fromisoformat, help="of when its prices are said to be; today unless given")
    export.set_defaults(run=_export)


def _update(given: argparse.Namespace) -> int:
    state, _ = state_folder(given)
    try:
        text = _fetch(given.origin)
        catalogue = Installed(state).update(text, given.origin)
    except ConfigError as error:
        print(f"{given.origin}: nothing has changed: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"{given.origin}: nothing has changed: {fault(error)}", file=sys.stderr)
        return 1
    print(f"in force: {catalogue.version}, {catalogue.models} models of {len(catalogue.sheet.providers)} providers")
    return 0


def _show(given: argparse.Namespace) -> int:
    state, _ = state_folder(given, reading=True)
    installed = Installed(state)
    try:
        entries = installed.entries()
        if not entries:
            print("no catalogue: the built-in list is in force")
            return 0
        catalogue = installed.read(entries[0])
    except (OSError, ValueError, ConfigError) as error:
        print(f"the catalogue in {installed.pointer.parent} cannot be read: {fault(error)}", file=sys.stderr)
        return 1
    source = f" ({catalogue.sheet.source})" if catalogue.sheet.source else ""
    print(f"in force: prices of {catalogue.sheet.date}{source}, {catalogue.models} models of {len(catalogue.sheet.providers)} providers")
    print(_line(entries[0]))
    for entry in entries[1:]:
        print(f"before it:\n{_line(entry)}" if entry is entries[1] else _line(entry))
    return 0


def _revert(given: argparse.Namespace) -> int:
    state, _ = state_folder(given, reading=True)
    installed = Installed(state)
    try:
        gone = installed.revert()
        now = installed.entries()
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    except (OSError, ValueError, ConfigError) as error:
        print(f"nothing has changed: {fault(error)}", file=sys.stderr)
        return 1
    print(f"taken away:\n{_line(gone)}\nin force:\n{_line(now[0]) if now else '  the built-in list'}")
    return 0


def _export(given: argparse.Namespace) -> int:
    from extproc.ledger.export import export  # noqa: PLC0415 - it needs genai-prices

    sheet = export(given.date or datetime.now(UTC).date(), frozenset(given.provider))
    if missing := sorted(set(given.provider) - sheet.providers.keys()):
        print(f"genai-prices has no provider {', '.join(missing)}", file=sys.stderr)
        return 2
    sys.stdout.write(encode(sheet).decode())
    return 0


def _line(entry: Entry) -> str:
    return f"  sha256:{entry.digest}, {datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S} UTC, from {entry.origin}"


def _fetch(origin: str) -> bytes:
    """What a file or a URL holds. Raises OSError, ValueError, ConfigError."""
    if origin == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    if "://" not in origin:
        return from_file(Path(origin))
    if urlsplit(origin).scheme != "https":
        raise ValueError("a catalogue is taken from a file or from an https URL: prices that anybody on the way may change are none")
    return asyncio.run(_download(origin))


async def _download(url: str) -> bytes:
    import aiohttp  # noqa: PLC0415 - slow, and only this one wants it

    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(_PATIENCE), trust_env=True, connector=aiohttp.TCPConnector(ssl=ssl.create_default_context())
            ) as session,
            session.get(url, max_redirects=3) as answer,
        ):
            if any(one.url.scheme != "https" for one in (*answer.history, answer)):
                raise ValueError("it redirects to a URL that is not https")
            if answer.status != 200:
                raise ValueError(f"the server says {answer.status} {answer.reason}")
            return await up_to(MOST_BYTES, answer.content.iter_any())
    except TimeoutError:
        raise ValueError(f"it takes longer than {_PATIENCE:g} s") from None
    except aiohttp.ClientError as error:
        raise ValueError(str(error)) from None
