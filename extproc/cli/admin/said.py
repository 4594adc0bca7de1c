"""What options of a command say, as the API takes it."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from extproc.cli.admin.client import Refused
from extproc.identity.written import span

_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(second|minute|hour|day|week|month)")
_SPAN = re.compile(r"([0-9]+)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def budget(text: str) -> dict[str, Any]:
    """A limit of money, written as `50/month`. Raises `ArgumentTypeError`."""
    found = _BUDGET.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no budget, such as 50/month")
    return {"unit": "cost", "amount": found[1], "window": found[2]}


def seconds(text: str) -> int:
    """A time, written as `90`, `15m`, `1h` or `7d`. Raises `ArgumentTypeError`."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, such as 90s, 15m, 1h or 7d")
    return int(found[1]) * _SECONDS[found[2]]


def expiry(text: str) -> str:
    """A time as the API takes it: how long from now on, as `30d`, or a moment as it is."""
    try:
        lasts = span(text)
    except ValueError:
        return text
    return (datetime.now(UTC) + timedelta(milliseconds=lasts)).isoformat(timespec="seconds")


def pair(text: str) -> tuple[list[str], Any]:
    """`settings.models=["gpt-*"]`: where, and what. What is no JSON is a text. Raises `ArgumentTypeError`."""
    where, equals, what = text.partition("=")
    if not equals or not all(where.split(".")):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as settings.cost_centre=R7")
    try:
        return where.split("."), msgspec.json.decode(what)
    except msgspec.DecodeError:
        return where.split("."), what


def body(given: argparse.Namespace, fields: tuple[str, ...], *, level: bool) -> dict[str, Any]:
    """What is sent: a file, if one is named, then options, then `--set`. Raises `Refused`."""
    made: dict[str, Any] = {}
    if given.file is not None:
        try:
            read = msgspec.json.decode(given.file.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError) as error:
            raise Refused(f"--file {given.file}: {error}") from None
        made.update(read)
    made.update({name: value for name in fields if (value := getattr(given, name)) is not None})
    if level:
        if given.plan is not None:
            made["plan_id"] = given.plan or None
        if given.budget:
            made.setdefault("settings", {})["limits"] = list(given.budget)
    for path, value in given.set:
        _put(made, path, value)
    return made


def _put(made: dict[str, Any], path: list[str], value: Any) -> None:
    *before, last = path
    for name in before:
        made = made.setdefault(name, {})
        if not isinstance(made, dict):
            raise Refused(f"--set {'.'.join(path)}: {name} is no object")
    made[last] = value


def add_body(parser: argparse.ArgumentParser, *, level: bool) -> None:
    """The options of `body`, beside the fields."""
    parser.add_argument(
        "--set", action="append", type=pair, default=[], metavar="NAME=VALUE", help='anything else, such as settings.models=["gpt-*"]'
    )
    parser.add_argument("--file", type=Path, help="a file with all of it, as JSON")
    if level:
        parser.add_argument("--plan", metavar="ID", help="id of its plan; empty: none")
        parser.add_argument(
            "--budget", action="append", type=budget, metavar="AMOUNT/WINDOW", help="how many US dollars in which time, such as 50/month"
        )
