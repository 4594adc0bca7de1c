"""What a request is told whose targets can all not be asked at the moment."""

import time
from collections.abc import Sequence

from extproc.errors import Reject, come_again
from extproc.standing.view import Entry

_SHOWN = 4
_WORDS = {"cooling": "has asked to be left alone", "half_open": "is being tried"}


def unavailable(model: str, why: Sequence[Entry]) -> Reject:
    """`why`: how its targets stand, at least one, the one that may be asked soonest first. 429 where all of them only wait for the end of
    their providers' own limits, else 503.
    """
    now = time.monotonic()
    again = come_again(why[0].until - now)
    limited = all(one.stand.state == "cooling" for one in why)
    shown = "; ".join(_said(one, now) for one in why[:_SHOWN]) + ("; ..." if len(why) > _SHOWN else "")
    message = f"No provider of {model!r} can be asked at the moment: {shown}. Try again in {again[1]} s."
    headers = (again,)
    if limited:
        return Reject(429, "rate_limit_exceeded", message, headers=headers)
    return Reject(503, "no_target_available", message, headers=headers)


def _said(entry: Entry, now: float) -> str:
    stand, left = entry.stand, entry.until - now
    name = f"{stand.provider}/{stand.model}" if stand.model else stand.provider
    # Keys' names are the operator's own.
    key = " (with each of its keys)" if stand.key else ""
    state = stand.state if stand.state != "open" or left > 0 else "half_open"
    words = _WORDS.get(state, "fails and is left alone")
    return f"{name}{key} {words} since {max(0.0, now - entry.since):.0f} s ({stand.reason})"
