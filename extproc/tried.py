"""What came of one attempt at a provider: told to whoever wants to know it, kept in the record, and named in the answer's head.

An attempt is told once, in the worker where it ran, when it is known whether it answers; one that answers by a stream is told again at
its end. The adapter tells attempts that had a head, and leaves what it told in dynamic metadata, where the gate finds it when the answer
comes. What never had a head among several is told by Envoy's `upstream_log` alone: Python never sees it. And it is that log which knows why
an answer just stopped (`STOPPED`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.values import Response, Target

ATTEMPTS = "x-headgate-attempts"
"""The response header that names the attempts, in their order: a list of RFC 8941, as
`openai/gpt-5;status=429;reason="rate_limit_exceeded";ms=120, groq/llama-3.3;status=200;ms=310`. Only where there were several targets.
`ms`: until the provider's answer began."""

NO_ANSWER = "no_answer"
"""The reason of an attempt that had no head: refused, reset, or out of time. Envoy's log of attempts knows which."""
CONNECT = "connect"
"""The reason of one that had no connection."""
NO_SOCKET = "socket_creation_failure"
"""Envoy's word, and the reason, of one for which Envoy had no file descriptor left: the provider has nothing to do with that."""
BROKEN_OFF = "broken_off"
"""The reason of one whose answer ended before it was whole."""
STOPPED = "stopped"
"""The reason of one whose answer just stopped after its head: its provider may have broken it off, or its client hung up. No worker can
tell. Envoy's log of attempts can; unless that blames the provider, it says nothing of it.
"""

LATE = "deadline_exceeded"
"""The reason of one that was under way when the time was over which its request had for all its attempts, or which the client gave it. How
long that one took is not known, so it says nothing of who was asked.
"""

OURS = "undone"
"""The reason of one that was answered, and of whose answer the gateway itself could make nothing."""

FULL = "concurrency_limit"
"""The reason of a target that was passed over because it had no room."""

SPENT = "retry_budget_spent"
"""The reason of one that was not asked because too many requests had gone on to another target of late."""

_UNASKED = frozenset((FULL, SPENT))

_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~:/0-9A-Za-z-]*")
_UNSAID = re.compile(r'[^ -~]|["\\]')


class Tried(Struct, frozen=True, omit_defaults=True):
    """One attempt."""

    provider: str
    model: str
    """As the provider knows it."""
    status: int = 0
    """The provider's own; 0: no answer came."""
    reason: str = ""
    """Empty: it answered. Else the fault's code, such as `rate_limit_exceeded`, or Envoy's word for why no answer came."""
    key: str = ""
    """Name of the provider's key, where it has several."""
    first: float = 0.0
    """Seconds from its beginning until it was known to answer, or to fail: to the head, or a stream's first event."""
    whole: float = 0.0
    """Seconds to its end; 0 while it lasts."""
    resets: float = 0.0
    """Seconds after which the provider may be asked again, as it says itself; 0: it does not."""
    request: str = ""
    """The request's id, of an attempt that had no head, or just stopped: by it Envoy's log of attempts is found to say why."""
    again: bool = False
    """It has been told before, when it began to answer; this is its end."""
    mirror_of: str = ""
    """The id of the request that this one, which `request` names, is a copy of for a mirror."""

    @property
    def failed(self) -> bool:
        """It gave no answer, or half of one."""
        return bool(self.reason)

    @property
    def asked(self) -> bool:
        """It was. Others stand among the attempts to say why they were not."""
        return bool(self.status) or self.reason not in _UNASKED


def metadata_key(number: int) -> str:
    """Where the adapter leaves what came of attempt `number`, in `headgate.use`."""
    return f"tried-{number}"


def only(response: Response, target: Target, reason: str, first: float = 0.0) -> Tried:
    """What came of an attempt that had no other beside it. An answer of Envoy's own has a status that says less than its word for why."""
    return Tried(target.provider, target.model, response.status if response.origin == "provider" else 0, reason, first=first)


def passed_key(number: int) -> str:
    """Where the adapter leaves who was passed over before attempt `number`, because there was no room."""
    return f"passed-{number}"


PLAN = "targets"
"""Where the adapter leaves all attempts, where a failed one has made them others than the gate had said."""


def encode_plan(targets: Sequence[Target]) -> str:
    """As metadata carries it."""
    return msgspec.json.encode([(target.provider, target.model) for target in targets]).decode()


def encode(tried: Tried) -> str:
    """As metadata carries it."""
    return msgspec.json.encode(tried).decode()


_decode = msgspec.json.Decoder(Tried).decode
_decode_plan = msgspec.json.Decoder(list[tuple[str, str]]).decode


def attempts_told(told: Mapping[str, str], targets: Sequence[Target], count: int, reason: str = "") -> tuple[Tried, ...]:
    """All attempts, in their order. `told`: what the adapter left in metadata; `targets`: of each attempt; `count`: how many there were;
    `reason`: Envoy's word where the last one had no answer.
    """
    plan = _decode_plan(told[PLAN]) if PLAN in told else [(target.provider, target.model) for target in targets]
    # Envoy asks the last one once more where the list has ended and it has retries left.
    plan += plan[-1:] * (count - len(plan))
    found: list[Tried] = []
    for number, (provider, model) in enumerate(plan[:count], 1):
        found += _passed(told, number)
        if number == count:
            # Nobody was asked in their place. The last one is who answers.
            found += _passed(told, number + 1)
        if text := told.get(metadata_key(number), ""):
            found.append(_decode(text))
        else:
            last = reason if number == count else ""
            found.append(Tried(provider, model, reason=last or NO_ANSWER))
    return tuple(found)


def _passed(told: Mapping[str, str], number: int) -> list[Tried]:
    text = told.get(passed_key(number), "")
    return [Tried(provider, model, reason=FULL) for provider, model in _decode_plan(text)] if text else []


_MOST = 3600.0


def soonest(tried: Iterable[Tried]) -> float:
    """Seconds after which the first of these may be asked again, where they have all failed; 0: none of them says it."""
    return min((min(one.resets, _MOST) for one in tried if one.resets), default=0.0)


def header(tried: Iterable[Tried]) -> str:
    """Value of `x-headgate-attempts`."""
    return ", ".join(map(_item, tried))


def _item(one: Tried) -> str:
    name = f"{one.provider}/{one.model}" if one.model else one.provider
    parts = [name if _TOKEN.fullmatch(name) else _quoted(name)]
    if one.status:
        parts.append(f"status={one.status}")
    if one.reason:
        parts.append(f"reason={_quoted(one.reason)}")
    if one.first:
        parts.append(f"ms={math.ceil(one.first * 1000)}")
    return ";".join(parts)


def _quoted(text: str) -> str:
    return f'"{_UNSAID.sub("?", text)}"'
