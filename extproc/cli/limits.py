"""`headgate limits`: what is used and left of limits and budgets, as the gateway that runs counts it."""

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

from extproc.cli.common import add_source, load, source

_PATIENCE = 10.0
_HEAD = ("LIMIT", "USED", "RESERVED", "LEFT", "OF", "STARTS ANEW")
_UNITS = {"cost": " USD", "input_tokens": " input tokens", "output_tokens": " output tokens", "concurrency": " at once"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("limits", help="what is used and left of limits and budgets, now")
    parser.description = "Asks the gateway that runs, on its operator's port (`admin`). The fullest first, a thousand at most."
    add_source(parser)
    parser.add_argument("--rule", metavar="TEXT", help="only rules with this in their name")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints them."""
    loaded = source(given).outline()
    if loaded.config is None:
        return 2 if load(source(given)) is None else 1
    admin = loaded.config.admin
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(admin.address, admin.address)  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{admin.port}/v1/limits"
    try:
        # To this machine, whatever a proxy is set to.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=_PATIENCE) as answer:
            told: dict[str, Any] = json.load(answer)
    except (OSError, urllib.error.URLError, ValueError) as error:
        print(f"headgate: no gateway answers at {url}: {error}", file=sys.stderr)
        return 1
    rows = [row for row in told["data"] if given.rule is None or given.rule in row["rule"]]
    if given.json:
        print(json.dumps({**told, "data": rows}, indent=2))
    else:
        _print(rows)
    return 0


def _print(rows: Iterable[Mapping[str, Any]]) -> None:
    table = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        print("  ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)).rstrip())


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    amounts = ("-" if row[name] is None else row[name] for name in ("used", "reserved", "left"))
    unit = _UNITS.get(row["unit"], f" {row['unit']}")
    return (row.get("title", row["counter"]), *amounts, f"{row['amount']}{unit}{'' if row['hard'] else ' (soft)'}", row["resets"] or "-")
