"""Limits, budgets and spans of time as people write them on a command line: `requests=1000/day`, `50/month`, `30d`."""

import re
from decimal import Decimal
from typing import get_args

import msgspec

from extproc.config.nearest import hint
from extproc.identity.settings import Limit, Unit, Window

_LIMIT = re.compile(
    r"(?P<unit>[a-z_]+)=(?P<amount>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:\.[0-9]+)?)(?P<times>[kM]?)"
    r"(?:/(?P<window>[a-z]+|[0-9]+s))?(?:@(?P<zone>\S+))?"
)
_AMOUNT = re.compile(r"[0-9][0-9.,]*[kM]?")
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_FORM = "it is written as requests=1000/day, tokens=2M/month@Europe/Berlin, cost=50/month, requests=10/60s or concurrency=5"


def limit(text: str, *, hard: bool = True) -> Limit:
    """`UNIT=AMOUNT[k|M][/WINDOW][@ZONE]`; a window is a calendar's, or any so many seconds (`60s`). Raises `ValueError`."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no limit: {_FORM}")
    if found["unit"] not in (units := get_args(Unit)):
        raise ValueError(f"{text!r} is no limit: there is no unit {found['unit']!r}{hint(found['unit'], units, 'there are')}")
    window = found["window"] or ""
    said = {"unit": found["unit"], "amount": str(Decimal(found["amount"].replace(",", "")) * _TIMES[found["times"]]), "hard": hard}
    if window.endswith("s") and window[:-1].isdigit():
        said["seconds"] = int(window[:-1])
    elif window:
        said["window"] = window
    if found["zone"]:
        said["zone"] = found["zone"]
    try:
        return msgspec.convert(said, Limit)
    except msgspec.ValidationError as error:
        windows = ", ".join(get_args(Window))
        raise ValueError(f"{text!r} is no limit: {error}. Units: {', '.join(units)}; windows: {windows}") from None


def budget(text: str) -> Limit:
    """US dollars in a window, `50/month`. Raises `ValueError`."""
    if _AMOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is no budget: it says no window, as {text}/month does")
    return limit(f"cost={text}")


def shown(one: Limit) -> str:
    """A limit in one word, as `limit` reads it; what else it says is left out."""
    window = f"/{one.window}" if one.window is not None else f"/{one.seconds}s" if one.seconds is not None else ""
    zone = f"@{one.zone}" if one.zone != "UTC" else ""
    return f"{one.unit}={one.amount.normalize():f}{window}{zone}" + ("" if one.hard else " (warns)")


def span(text: str) -> int:
    """Milliseconds of `45s`, `15m`, `12h`, `30d`, `4w`. Raises `ValueError`."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no span of time: it is written as 45s, 15m, 12h, 30d or 4w")
    return int(found[1]) * _SECONDS[found[2]] * 1000
