"""What a command line says of a key, a team, an organization: which models, how much, until when."""

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from extproc.identity.settings import NOTHING, Limit, Settings
from extproc.identity.written import budget, limit, span

T = TypeVar("T")
_LISTS = ("models", "providers", "endpoints", "networks", "guardrails")
_CLEARED = (*_LISTS, "limits", "tags", "cost_centre", "plan")


def add_bounds(parser: argparse.ArgumentParser, *, updating: bool = False) -> None:
    """The options. `updating`: there is something already, of which parts can be taken out."""
    group = parser.add_argument_group("what is allowed, and how much")
    group.add_argument("--models", type=_names, metavar="NAMES", help="models, as clients name them: 'gpt-*,claude-*'")
    group.add_argument("--providers", type=_names, metavar="NAMES", help="providers that may be asked")
    group.add_argument("--endpoints", type=_names, metavar="NAMES", help="operations: chat, embeddings, images, audio, files, ...")
    group.add_argument("--networks", type=_names, metavar="NETWORKS", help="addresses of callers: 10.0.0.0/8,2001:db8::1")
    add_limits(group)
    group.add_argument("--plan", metavar="PLAN", help="a plan, by name or id")
    group.add_argument("--tag", dest="tags", action="append", type=_tag, metavar="NAME=VALUE", help="marks entries of the ledger")
    group.add_argument("--cost-centre", metavar="NAME", help="who pays, in the words of the books")
    group.add_argument("--guardrails", type=_names, metavar="NAMES", help="guardrails, by name; kept and inherited, and not in force yet")
    if updating:
        group.add_argument("--clear", type=_cleared, default=(), metavar="NAMES", help=f"say nothing any more of: {', '.join(_CLEARED)}")


def add_limits(parser: "argparse._ActionsContainer") -> None:
    """The options that make limits."""
    parser.add_argument("--budget", dest="limits", action="append", type=checked(budget), metavar="50/month", help="US dollars in a window")
    wanted = "UNIT=AMOUNT/WINDOW: requests=1000/day, tokens=2M/month@Europe/Berlin, requests=10/60s, concurrency=5"
    parser.add_argument("--limit", dest="limits", action="append", type=checked(limit), metavar="LIMIT", help=wanted)
    parser.add_argument("--warn", dest="limits", action="append", type=checked(_soft), metavar="LIMIT", help="likewise; it only warns")


def settings(given: argparse.Namespace, before: Settings = NOTHING) -> Settings:
    """What is said, over what was there before. Raises `ValueError` for what contradicts itself."""
    cleared = {name: getattr(NOTHING, name) for name in getattr(given, "clear", ()) if name != "plan"}
    said: dict[str, Any] = {name: names for name in _LISTS if (names := getattr(given, name)) is not None}
    if given.limits:
        said["limits"] = tuple(given.limits)
    if given.tags:
        said["tags"] = before.tags | dict(given.tags)
    if given.cost_centre is not None:
        said["cost_centre"] = given.cost_centre
    made = msgspec.structs.replace(before, **{**cleared, **said})
    try:
        return msgspec.convert(msgspec.to_builtins(made), Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """A type of argument, whose mistakes are told in its own words."""

    def convert(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


lasting = checked(span)
"""A type of argument: milliseconds, as `30d`."""


def _soft(text: str) -> Limit:
    return limit(text, hard=False)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _cleared(text: str) -> tuple[str, ...]:
    names = _names(text.replace("-", "_"))
    if unknown := [name for name in names if name not in _CLEARED]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(_CLEARED)}")
    return names


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no tag: it is written as NAME=VALUE")
    return name, value
