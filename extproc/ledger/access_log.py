"""The second witness: Envoy's access log, for requests whose worker was killed before it could journal them.

One JSON object a line, with these keys (`extproc.envoy.access_log` writes them):

- `request_id`, `method`, `path`, `status`, `flags`, `details`, `cluster`: as Envoy knows them
- `start_time`: when it began, RFC 3339 or Unix seconds; `duration_ms`: until it ended
- `attempts`: attempts at providers; `bytes_in`, `bytes_out`: of the bodies
- `record`: the Record as the gate last knew it, JSON in a string (an object will do); absent if the gate never judged the request
- `use`: what the adapter told last (`extproc.use.Use`), as its metadata `{"told": "<JSON>"}`, as an object, or as JSON in a string

A number may come as text and any key may be absent, null or `-`. A line becomes an entry only if the worker stays silent for some
seconds. `use` counts only if its cluster is the one that answered, and its attempt the last: a failed attempt's usage is never taken
for the answer's. Nor is the gate's guess at who would answer, where it had not seen the answer, or at what that would cost, where there
was none.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from extproc.envoy.names import DETAILS_PREFIX, VIA_UPSTREAM
from extproc.ledger.record import Outcome, Record
from extproc.usage import Usage, broken_off
from extproc.use import USE_KEY, Use

KEYS = (
    "request_id", "start_time", "duration_ms", "status", "flags", "details", "bytes_in", "bytes_out", "method", "path", "attempts",
    "cluster", "record", "use",
)  # fmt: skip
"""Keys of a line."""

T = TypeVar("T")


class _Id(Struct):
    request_id: str | None = None


_ID = msgspec.json.Decoder(_Id)
_LINE = msgspec.json.Decoder(dict[str, Any])
_ANSWERED = f'"details":"{VIA_UPSTREAM}"'.encode()
_ENDED = "downstream_local_disconnect"
"""Begins the details where Envoy closed the client's connection: it was ended. A client that hangs up is `downstream_remote_disconnect`."""
_CUT = f'"{_ENDED}'.encode()
_LATE = ("response_timeout", "stream_idle_timeout", "upstream_per_try_idle_timeout")
"""The details where an answer was cut because its time, or the silence in it, was over."""


class Line(Struct):
    """One line, read."""

    record: Record
    """The entry that it would make."""
    counts: bool
    """False: nothing of ours was under way (a refused connection, an answer of the gate's own), so its worker's silence means nothing."""


def read_line(text: bytes, providers: Mapping[str, str] | None = None) -> Line | None:
    """Read a line; `providers` are their names by cluster. None: it is no request's. Raises ValueError for what is no line of ours."""
    try:
        line = _LINE.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    id = _text(line, "request_id")
    if not id:
        return None
    told = _part(line, "record", dict[str, Any])
    record = _record({**(told or {}), "id": id, "time": _start(line)})
    cluster, attempts, seen = _text(line, "cluster"), _number(line, "attempts"), record.attempts
    details = _text(line, "details")
    record.witness = "envoy"
    record.status = _number(line, "status")
    record.path = record.path or _text(line, "path").partition("?")[0]
    record.duration = _number(line, "duration_ms") / 1000
    record.bytes_in, record.bytes_out = _number(line, "bytes_in"), _number(line, "bytes_out")
    record.error = record.error or ("" if details == VIA_UPSTREAM else details[:200])
    if told and not attempts and details.startswith(DETAILS_PREFIX):
        # The gate's own answer, refusal or cache hit: it was whole, and the worker died after it.
        return Line(record, counts=True)
    record.outcome, record.partial = "killed", True
    record.attempts = attempts or seen
    if not seen and not 0 < record.status < 400:
        record.usage, record.estimated = Usage(), False
    use = _use(line)
    if use is not None and use.cluster == cluster and use.attempt in (0, attempts):
        _take_use(record, use)
    elif attempts != seen:
        # The gate had not seen this attempt's answer, and knows only whom it would ask first.
        provider = (providers or {}).get(cluster, cluster)
        if provider != record.provider:
            record.provider, record.target, record.answered = provider, "", ""
    if not record.attempts:
        record.provider = ""
    return Line(record, counts=told is not None or attempts > 0 or record.status == 0 or record.status >= 500)


def _take_use(record: Record, use: Use) -> None:
    record.provider = use.provider or record.provider
    record.target = use.target or record.target
    record.answered = use.answered or record.answered
    record.error = use.error or record.error
    if use.amount is not None:
        record.unit, record.amount = use.amount.unit, use.amount.count
    usage = use.usage or Usage()
    if use.finished and use.usage:
        record.partial, record.estimated = False, False
        record.usage = usage
    elif record.status < 400 and use.text and (guess := broken_off(use.usage, record.bytes_in, use.text)) is not None:
        usage, record.estimated = guess, True
    # The gate counts as the answer passes it, and may know more.
    record.usage = max(record.usage, usage, key=lambda one: one.total)


class Verdict(NamedTuple):
    """Who broke off an answer."""

    outcome: Outcome
    status: int
    """What the client got."""
    error: str = ""
    """Envoy's word for it, where nothing else tells."""


def verdict(text: bytes) -> Verdict | None:
    """Who broke off an answer that a worker thinks the client gave up. None: the client did.

    A worker cannot tell: either way, its stream just ends. It may be the provider, or another worker, which ran the attempt and died; or
    Envoy, which closes all connections when it is ended.
    """
    # A provider's whole answer is what most lines tell of, and says so early on.
    if _ANSWERED in text or not (b'"upstream_' in text or b'_timeout"' in text or b'"ext_proc_' in text or _CUT in text):
        return None
    try:
        line = _LINE.decode(text)
        details, status = _text(line, "details"), _number(line, "status")
    except (ValueError, RecursionError):
        return None
    if details in _LATE:
        return Verdict("provider_broke", status, details)
    if details.startswith("upstream_"):
        return Verdict("provider_broke", status)
    if details.startswith(_ENDED):
        return Verdict("killed", status, _ENDED)
    if not details.startswith("ext_proc_"):
        return None
    use = _use(line)
    if use is not None and use.error and use.attempt == _number(line, "attempts") and use.cluster == _text(line, "cluster"):
        # The worker that ran the attempt broke it off, and had said why.
        return Verdict("provider_broke", status, use.error)
    return Verdict("killed", status)


def line_id(text: bytes) -> str:
    """The line's request id; empty if it has none, or is no line of ours."""
    try:
        return _ID.decode(text).request_id or ""
    except msgspec.MsgspecError:
        return ""


def rotated(path: Path) -> list[Path]:
    """The log's rotated files, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.*"))


def rotate_due(path: Path, max_bytes: int) -> bool:
    """Is it time to rotate the log: it has grown beyond `max_bytes`, or a rotation was left half done (renamed, but not reopened)?"""
    try:
        return path.stat().st_size > max_bytes
    except FileNotFoundError:
        return bool(rotated(path))


def rotate(path: Path) -> None:
    """Move the log aside; Envoy goes on writing to it until its admin port is sent `POST /reopen_logs`, which is the caller's to do."""
    if path.exists():
        path.rename(path.with_name(f"{path.name}.{time.time_ns()}"))


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    return "" if value is None or value == "-" else str(value)


def _number(line: dict[str, Any], key: str) -> int:
    value = line.get(key)
    if value is None or value in ("", "-"):
        return 0
    try:
        return int(float(value))
    except TypeError as error:
        raise ValueError(f"{key} is no number") from error


def _start(line: dict[str, Any]) -> float:
    value = line.get("start_time")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = _text(line, "start_time")
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _record(values: dict[str, Any]) -> Record:
    try:
        return msgspec.convert(values, Record, strict=False)
    except msgspec.ValidationError:
        # The request was served all the same, so the rest of the line has to do.
        return Record(id=values["id"], time=values["time"], error="record_unreadable")


def _use(line: dict[str, Any]) -> Use | None:
    metadata = _part(line, "use", dict[str, Any])
    if metadata is None:
        return None
    return _part(metadata, USE_KEY, Use) if USE_KEY in metadata else _part(line, "use", Use)


def _part(line: dict[str, Any], key: str, type: type[T]) -> T | None:
    value = line.get(key)
    if value is None or value in ("", "-"):
        return None
    try:
        if isinstance(value, str):
            return msgspec.json.decode(value, type=type, strict=False)
        return msgspec.convert(value, type, strict=False)
    except (msgspec.MsgspecError, RecursionError):
        return None
