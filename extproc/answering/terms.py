"""What all ways of reading an answer need to know, and the body that is needed whole."""

import logging
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from extproc.dialects import trouble
from extproc.dialects.dialect import Apart, Dialect
from extproc.dialects.hub import (
    Answer,
    Embedded,
    Extra,
    Ranking,
    Start,
)
from extproc.errors import Fault
from extproc.ledger.record import called

log = logging.getLogger(__name__)

Headers = dict[str, str]

DROPPED = "x-headgate-dropped"
"""Response header: what the provider could not be asked, and what the client's dialect has no words for."""
_DROPPED_MAX = 1024

_NAMED = (Answer, Start, Embedded, Ranking)


class BrokenAnswer(Exception):
    """The provider's answer is none, or more than is taken, and the client's response has begun: it can only be broken off."""


TRAILERS_FIRST = "the provider's trailers came before all of it could be told"
"""Of an answer of which something is still to be told when Envoy takes nothing more of its body."""


class Terms(Struct, frozen=True):
    """What an answer is read by: who speaks what, and what the client asked for."""

    client: Dialect
    provider: Dialect
    kind: str
    """The operation, as the client's dialect calls it."""
    form: str
    """The same as the provider was asked for it."""
    provider_name: str
    request_id: str
    same: bool
    """Nothing is translated."""
    raw: bool
    """Nothing is read, either."""
    include_usage: bool
    """The client wants usage at the end of a stream."""
    hide_usage: bool
    """The stream tells usage only because we made it."""
    asked: Extra
    """See `Question.asked`."""
    most: int
    """Bytes of the largest body, or event of a stream, that is taken."""
    model: str = ""
    """What the provider was asked for."""
    id: str = ""
    """That of an answer, where it is ours to give."""
    dropped: tuple[str, ...] = ()
    """What the provider could not be asked."""
    sdk: str = ""
    """See `Endpoint.sdk`."""
    apart: Apart | None = None
    """The provider may answer in the form of an SDK that is not the client's, and nothing else is translated."""
    gives: str = ""
    """See `Endpoint.gives`."""
    question: bytes = b""
    """The client's body, where its tokens are to be counted."""
    key: str = ""
    """The name of the provider's key, where it has several."""
    mirror_of: str = ""
    """See `Record.mirror_of`."""
    stream: bool = False
    """The client asked for a stream."""

    def name(self, answer: object) -> None:
        """Gives an answer, or the start of a stream, what some providers do not say and all clients want: an id, and the model."""
        if isinstance(answer, _NAMED):
            answer.id = self.id or answer.id or self.request_id
            answer.model = answer.model or self.model

    def error(self, fault: Fault) -> bytes:
        """The fault as the client's dialect says it."""
        return msgspec.json.encode(self.client.write_error(fault, self.request_id))

    def log(self, what: str) -> None:
        """Says what is wrong with the provider's answer."""
        who = f"{self.provider_name}, asked with the key {self.key}," if self.key else self.provider_name
        log.warning("request %s: the provider %s %s", called(self.request_id, self.mirror_of), who, what)


_LARGE = 1024 * 1024
"""Bytes beyond which nobody looks whether they are whole."""
_LOOKS = 16 * _LARGE
"""Bytes that are looked at for that in all: a body may come in pieces that each end as JSON does."""


class Collected:
    """A body that is needed whole, piece by piece, up to a bound."""

    __slots__ = ("_looks", "_pieces", "_terms", "size")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._pieces: list[bytes] = []
        self.size = 0
        self._looks = _LOOKS
        """Bytes that may still be looked at, to see whether they are whole."""

    def add(self, chunk: bytes) -> None:
        """One piece. Raises `BrokenAnswer` when it is too much."""
        self._pieces.append(chunk)
        self.size += len(chunk)
        if self.size > self._terms.most:
            raise too_much(self._terms)

    def completes(self, chunk: bytes) -> bool:
        """Whether it is JSON to its end with this piece, which is to be added next. What is large is not looked at."""
        size = self.size + len(chunk)
        if size > min(_LARGE, self._looks) or not chunk.rstrip().endswith((b"}", b"]")):
            return False
        self._looks -= size
        try:
            msgspec.json.decode(self.whole() + chunk, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def whole(self) -> bytes:
        """All of it, joined once."""
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]


def too_much(terms: Terms) -> BrokenAnswer:
    """The answer is larger than is taken."""
    return BrokenAnswer(f"the provider {terms.provider_name} sent more than {terms.most} bytes (limits.response_body)")


def dropped(names: Sequence[str]) -> Headers:
    """The header that names what was lost; none if nothing was."""
    text = ", ".join(names)
    return {DROPPED: text if len(text) <= _DROPPED_MAX else text[: _DROPPED_MAX - 4] + " ..."} if text else {}


def in_short(fault: Fault) -> str:
    """What became of a stream: in our words, or where the provider itself says it, only the kind of error."""
    if fault.code in trouble.UNREADABLE:
        return f"broke its stream: {fault.message}"
    return f"ended its stream with an error ({fault.code[:50]})"
