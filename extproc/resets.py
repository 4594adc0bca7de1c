"""When a provider that has refused a request for its limits may be asked again: in its headers, or in what the error says.

- `retry-after-ms` (Azure), `retry-after` (RFC 9110, section 10.2.3: seconds, or a date) and Google's `RetryInfo` tell it outright.
- `x-ratelimit-reset-*` (OpenAI, Groq, Cerebras, OpenRouter), `anthropic-ratelimit-*-reset` and `ratelimit-reset` tell it of each limit. Of
  several, those count that are used up. OpenRouter has them in the body, too.
- OpenAI's, Azure's and Google's messages say "try again in 6m0s".

https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits,
https://openrouter.ai/docs/api-reference/limits, https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
"""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

LONGEST = 3600.0
"""Seconds beyond which nobody is believed: a limit of a day is asked about once an hour."""
LARGEST = 64 * 1024
"""Bytes of an error's body that is read for it."""

_DURATION = re.compile(
    r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,12})?)s)?(?:([0-9]{1,12}(?:\.[0-9]{1,12})?)ms)?"
)
_NUMBER = re.compile(r"[0-9]{1,14}(?:\.[0-9]{1,12})?")
_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIMIT = re.compile(r"(?:anthropic-|x-)?ratelimit-(?:reset(?:-[a-z-]{1,40})?|[a-z-]{1,40}-reset)")
_WORDS = re.compile(r"(?:try again|retry) (?:in|after) ([0-9][0-9.hms]{0,30}?)( (?:milli)?seconds?)?(?=[.,;\s]*(?:\s|$))", re.IGNORECASE)
_DAY, _EPOCH, _EPOCH_MS = 86_400.0, 1e9, 1e12
"""Bare numbers up to a day are seconds; from here on they are seconds, or milliseconds, since 1970."""


def resets(headers: Mapping[str, str], body: bytes = b"", now: float | None = None) -> float:
    """Seconds until the provider may be asked again, at most `LONGEST`; 0.0 if it does not say so, or says that it is over.

    `headers`: of its answer, names in lower case. `body`: the error, if there is one. `now`: Unix seconds; dates are measured against the
    answer's own `date` where it has one, since clocks differ.
    """
    now = _now(headers, now)
    told = _outright(headers, now)
    if told is None and 0 < len(body) <= LARGEST:
        told = _in_body(body, headers, now)
    elif told is None:
        told = reset_of_limits(headers, now)
    return min(told, LONGEST) if told is not None and told > 0 else 0.0


def seconds(text: str) -> float | None:
    """A duration such as `6m0s`, `1.5s`, `120ms`; None if it is none, or longer than a day."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, whole, small = (float(part or 0) for part in found.groups())
    wait = hours * 3600 + minutes * 60 + whole + small / 1000
    return wait if wait <= _DAY else None


def reset_of_limits(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds until a limit is reset, from the headers that tell of limits; None if none does. Of several, those that are used up."""
    now = _now(headers, now)
    told = {name: _wait(headers[name], now) for name in headers if "ratelimit" in name and _LIMIT.fullmatch(name)}
    known = [(wait, _used_up(headers.get(name.replace("reset", "remaining"), ""))) for name, wait in told.items() if wait is not None]
    used_up = [wait for wait, none_left in known if none_left]
    return max(used_up) if used_up else min((wait for wait, _ in known), default=None)


def _now(headers: Mapping[str, str], now: float | None) -> float:
    if now is not None:
        return now
    own = _http_date(headers.get("date", ""))
    return time.time() if own is None else own


def seconds_told(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer tells outright; None where it has none, or a date."""
    small = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(small):
        return float(small) / 1000
    told = headers.get("retry-after", "").strip()
    return float(told) if _NUMBER.fullmatch(told) else None


def _outright(headers: Mapping[str, str], now: float) -> float | None:
    if (told := seconds_told(headers)) is not None:
        return told
    until = _http_date(headers.get("retry-after", ""))
    return None if until is None else max(0.0, until - now)


def _used_up(remaining: str) -> bool:
    return bool(_NUMBER.fullmatch(remaining)) and float(remaining) <= 0


def _wait(text: str, now: float) -> float | None:
    """What stands behind a limit's reset: a duration, seconds, a time since 1970, a date. Numbers of the past are none of these."""
    if (wait := seconds(text)) is not None:
        return wait
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        until = _iso_date(text)
        return None if until is None else max(0.0, until - now)
    number = float(text)
    if number <= _DAY:
        return number
    until = number / 1000 if number >= _EPOCH_MS else number
    return until - now if until >= _EPOCH and until > now else None


def _iso_date(text: str) -> float | None:
    try:
        until = datetime.fromisoformat(text)
        return until.timestamp() if until.tzinfo is not None else None
    except ValueError:
        return None


def _http_date(text: str) -> float | None:
    """RFC 9110, section 5.6.7, in the one form that is still sent."""
    found = _DATE.fullmatch(text.strip())
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _in_body(body: bytes, headers: Mapping[str, str], now: float) -> float | None:
    """What the error tells, if the headers do not tell it outright."""
    error = _error(body)
    delays = (seconds(delay) for delay in _delays(error))
    if (delay := next((delay for delay in delays if delay is not None), None)) is not None:
        return delay
    limits = reset_of_limits(headers, now)
    if limits is None:
        limits = reset_of_limits(_limits(error), now)
    return _in_words(error) if limits is None else limits


def _error(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if type(value) is list and value:
        value = value[0]  # Google's, where a stream was asked for
    if type(value) is not dict:
        return {}
    inside = value.get("error")
    return inside if type(inside) is dict else value


def _delays(error: Mapping[str, Any]) -> Iterator[str]:
    details = error.get("details")
    for detail in details if type(details) is list else ():
        if type(detail) is dict and str(detail.get("@type")).endswith("google.rpc.RetryInfo") and type(detail.get("retryDelay")) is str:
            yield detail["retryDelay"]


def _limits(error: Mapping[str, Any]) -> dict[str, str]:
    """OpenRouter's: the headers, in the body."""
    beside = error.get("metadata")
    given = beside.get("headers") if type(beside) is dict else None
    return {name.lower(): value for name, value in given.items() if type(value) is str} if type(given) is dict else {}


def _in_words(error: Mapping[str, Any]) -> float | None:
    message = error.get("message")
    found = _WORDS.search(message[:LARGEST]) if type(message) is str else None
    if found is None:
        return None
    text, unit = found[1], (found[2] or "").strip().lower()
    if not unit:
        return seconds(text)
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) / 1000 if unit.startswith("milli") else float(text)
