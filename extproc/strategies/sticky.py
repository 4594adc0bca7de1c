"""The same again: requests that belong together go to the same target, so that a provider's prompt cache has what they begin with.

Each request has a key, and each target draws its lot from that key and its own name (rendezvous hashing, with weights): the order is the
same in all workers and machines without anybody remembering anything, and where a target comes or goes, only its own requests move.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from extproc.aside import is_bulky
from extproc.crossing import ClientHeader
from extproc.dialects.hub import INSTRUCTING
from extproc.strategies.weighted import drawn
from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request

_LOTS = 1 << 64
_UNSEEN = 64 * 1024
"""Bytes by which a body is known that is too bulky to be looked into, or of no conversation. A bulky one has more, so they stay what they
are when more is said."""


class Sticky(Strategy, frozen=True, kw_only=True):
    """Begins with the target that the requests of the same conversation, prefix, caller or session began with. Weights are respected in
    the long run, over many of these.
    """

    by: Literal["conversation", "prefix", "caller", "header"] = "conversation"
    """What requests that belong together have in common. `conversation`: the system prompt and the first message; of a body of more than a
    MiB, or of thousands of items, its first 64 KiB. `prefix`: the body's
    first bytes. `caller`: the key that they come with. `header`: a header's value; requests without it go by `conversation`."""
    length: Annotated[int, Meta(ge=64, le=1 << 20)] = 4096
    """Bytes of that, where `by` is `prefix`. Prompt caches mostly begin at 1,024 tokens, which is about 4 KiB."""
    header: ClientHeader = "x-session-id"
    """Which, where `by` is `header`."""

    def open(self) -> Order:
        """See `Strategy.open`."""
        return _Sticky(self)


class _Sticky:
    def __init__(self, settings: Sticky) -> None:
        self._settings = settings

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        key = self._key(request)
        return drawn(candidates, [_lot(key, candidate) for candidate in candidates])

    def _key(self, request: Request) -> bytes:
        settings = self._settings
        match settings.by:
            case "caller":
                return f"{request.identity.tenant}\0{request.identity.key}".encode("utf-8", "surrogatepass")
            case "header" if settings.header in request.headers:
                return request.headers[settings.header].encode("utf-8", "surrogatepass")
            case "prefix":
                return request.body[: settings.length]
        return opening(request.body) or request.body[:_UNSEEN]


def _lot(key: bytes, candidate: Candidate) -> float:
    name = f"{candidate.target.provider}/{candidate.target.model}".encode("utf-8", "surrogatepass")
    digest = blake2b(key, digest_size=8, person=blake2b(name, digest_size=16).digest())
    return (int.from_bytes(digest.digest()) + 1) / _LOTS


class _Said(Struct):
    role: Any = None


class _Question(Struct):
    """Where the dialects have what a conversation begins with."""

    messages: list[Raw] | UnsetType = UNSET
    contents: list[Raw] | UnsetType = UNSET
    input: Raw | UnsetType = UNSET
    prompt: Raw | UnsetType = UNSET
    system: Raw | UnsetType = UNSET
    instructions: Raw | UnsetType = UNSET
    system_instruction: Raw | UnsetType = msgspec.field(default=UNSET, name="systemInstruction")
    # The same; proto JSON has both spellings.
    system_instruction_too: Raw | UnsetType = msgspec.field(default=UNSET, name="system_instruction")


_decode = msgspec.json.Decoder(_Question).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_said = msgspec.json.Decoder(_Said).decode


def opening(body: bytes) -> bytes:
    """What all requests of a conversation begin with: what the model is told about it, and the first message. Empty where that cannot be
    seen: the body is none of a conversation, or looking into it would hold others up.
    """
    if is_bulky(body):
        return b""
    try:
        question = _decode(body)
        systems = (question.system, question.instructions, question.system_instruction, question.system_instruction_too)
        told = [bytes(part) for part in systems if part is not UNSET]
        turns = list(map(bytes, question.messages or question.contents or _turns(question)))
        return b"\0".join([*told, *turns[: _first(turns) + 1]]) if turns else b""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def _turns(question: _Question) -> list[Raw]:
    """Of an API whose question may be a text."""
    said = question.input if question.input is not UNSET else question.prompt
    if said is UNSET:
        return []
    return _decode_list(said) if bytes(said).startswith(b"[") else [said]


def _first(turns: list[bytes]) -> int:
    """Where the first message is that is no instruction."""
    for at, turn in enumerate(turns):
        if not turn.startswith(b"{") or _decode_said(turn).role not in INSTRUCTING:
            return at
    return len(turns)
