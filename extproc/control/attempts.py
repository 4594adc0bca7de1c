"""Envoy's log of failed attempts, read as it grows: why an attempt had no answer that any worker has seen, or half of one.

Where a request has several targets, an attempt whose connection is refused, or that is reset or out of time before its head, is Envoy's
alone. The gate knows which target that was when the answer comes (no worker told of it), and Envoy's log says why; the request's id joins
the two. The log itself cannot name the target: no metadata reaches it (tried on Envoy 1.40, docs/envoy.md). It is the same with an answer
that just stops after its head: a worker cannot tell a provider that breaks it off from a client that hangs up.
"""

from collections import OrderedDict
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from extproc.control.addresses import SEPARATOR
from extproc.envoy import names
from extproc.ledger.tail import read_lines
from extproc.tried import CONNECT, NO_SOCKET

_AT_ONCE = 2000
_KEPT = 4096
"""Lines that are kept for a gate that has not told yet: it does so only when another target has answered."""

_REASONS = {
    "UF": "connect", "UH": "connect", "NR": "connect", "NC": "connect",
    "UT": "timeout", "SI": "timeout", "DT": "timeout",
    "UC": "reset", "UR": "reset", "LR": "reset", "UPE": "reset",
}  # fmt: skip
"""By flag: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage (RESPONSE_FLAGS)."""
_GIVEN_UP = "DC"
"""The client did, so it shows nothing."""


class _Line(Struct):
    request_id: str | None = None
    cluster: str | None = None
    flags: str | None = None
    status: int | None = None
    start_time: str | None = None
    transport_failure: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Unanswered(Struct, frozen=True):
    """An attempt without an answer, or with half of one."""

    provider: str
    """Empty where its name had no address."""
    reason: str
    """`connect`, `timeout` or `reset`; or `NO_SOCKET`."""
    began: float
    """Seconds since the epoch; 0: not known."""
    half: bool = False
    """The answer broke off after its head."""


def read_line(text: bytes) -> tuple[str, Unanswered] | None:
    """The request's id, and its attempt. None: it had a whole answer, or the client gave it up, or it is no line of ours."""
    try:
        line = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    flags = (line.flags or "").split(",")
    reason = next((_REASONS[flag] for flag in flags if flag in _REASONS), "")
    if not line.request_id or not reason or _GIVEN_UP in flags:
        return None
    if reason == CONNECT and NO_SOCKET in (line.transport_failure or ""):
        reason = NO_SOCKET
    cluster, prefix = line.cluster or "", names.cluster_name("")
    provider = cluster.removeprefix(prefix).partition(SEPARATOR)[0] if cluster.startswith(prefix) else ""
    return line.request_id, Unanswered(provider, reason, _seconds(line.start_time or ""), half=bool(line.status))


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


class AttemptsLog:
    """The log, from its end at the time of the first look on. A rotation renames it, and Envoy writes on to the old file for a moment, so
    both are read.
    """

    def __init__(self, path: Path) -> None:
        self._paths = path.with_name(f"{path.name}.1"), path
        self._offsets: dict[int, int] | None = None
        """How far each file was read, by its number in the file system."""
        self._known: OrderedDict[str, list[Unanswered]] = OrderedDict()

    def read(self) -> None:
        """What is new. Raises `OSError`."""
        before, offsets = self._offsets, {}
        for path in self._paths:
            try:
                file = path.stat()
            except FileNotFoundError:
                continue
            # What is there from before the start is long over.
            offset = file.st_size if before is None else before.get(file.st_ino, 0)
            offsets[file.st_ino] = self._read(path, offset if offset <= file.st_size else 0)
        self._offsets = offsets

    def _read(self, path: Path, offset: int) -> int:
        found = read_lines(path, offset, _AT_ONCE)
        for _, text in found.lines:
            if (line := read_line(text)) is not None:
                self._known.setdefault(line[0], []).append(line[1])
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return found.offset

    def find(self, request: str, provider: str, *, half: bool = False) -> Unanswered | None:
        """Why an attempt of a request at a provider had no answer, or `half` of one. Each line is found once. None: it is not there, or not
        yet.
        """
        known = self._known.get(request, [])
        for at, one in enumerate(known):
            if one.half is half and one.provider in (provider, ""):
                del known[at]
                if not known:
                    del self._known[request]
                return one
        return None
