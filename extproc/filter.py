"""What a filter is. One file in `filters/` each; the configuration names them, in order, and that order is the only one there is.

A request passes through the filters from first to last. Each may return None (pass on), a `Response` (answer), a `Tap` (follow the
reply), or raise `Reject`. Replies pass through the taps from last to first, whoever made them: a provider, a later filter, or a `Reject`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from extproc.environment import Environment
    from extproc.values import Request, Response


class Tap:
    """A filter's place on one response. May look, change or drop; may not wait until the end."""

    passes = False
    """True: this tap wants only `start` and `end`, so events need not be cut out for it."""
    whole = True
    """False: of a body that is not a stream, this tap takes pieces as they come; so nothing is held back for it."""
    late = False
    """True: this tap looks on and changes nothing, so it may be given what has already gone to the client: events of a stream come later,
    and several in one piece, in order, all of them before `end`. Where all taps are late, an event costs a fraction. False: each event
    comes by itself, before the client has it."""

    def start(self, response: Response) -> None:
        """The response's head, before it goes to the client. Body events follow."""

    def events(self, events: list[bytes]) -> list[bytes]:
        """Whole server-sent events as bytes, terminators included; or the whole body as one. Return the same list to change nothing."""
        return events

    async def end(self, response: Response) -> None:
        """After the last byte, or when the client or the provider broke off (`response.ended`). May wait: the client does not."""


class _Together(Tap):
    """Taps that only watch, as one."""

    passes = True

    def __init__(self, taps: list[Tap]) -> None:
        self._taps = taps

    def start(self, response: Response) -> None:
        for tap in self._taps:
            tap.start(response)

    async def end(self, response: Response) -> None:
        for tap in self._taps:
            await tap.end(response)


def together(*taps: Tap | None) -> Tap | None:
    """One tap for all of these, which only watch (`Tap.passes`); None where there are none."""
    there = [tap for tap in taps if tap is not None]
    return _Together(there) if len(there) > 1 else next(iter(there), None)


class Handler(Protocol):
    """A filter made ready for one snapshot of the configuration."""

    async def request(self, request: Request) -> Response | Tap | None:
        """One request. What does not really wait costs no task and no turn of the loop."""


@runtime_checkable
class Reader(Protocol):
    """A handler that reads the whole document of some requests, beside the few members that all are routed by."""

    def reads(self, body: bytes) -> bool:
        """Whether it is likely to read this one, which is then decoded once for all. A look at the bytes; a wrong guess costs only time."""


class Filter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter's settings: its fields are what the configuration may say. Nothing of a request is kept on it."""

    early: ClassVar[bool] = False
    """True: it needs no body, so it runs on the headers, before the body is read."""

    mirrored: ClassVar[bool] = False
    """True: it sees copies that are sent to mirrors, too, once the caller and the target are known. They have been through the list before
    they were copied, so what lets requests in, routes them or answers them has had its say."""

    def open(self, environment: Environment) -> Handler:
        """Makes it ready: compiles tables, takes hold of what it shares with others. Called once a snapshot, before any request."""
        raise NotImplementedError(f"{type(self).__name__}.open")

    def about(self) -> str:
        """What an operator should know of it, in a sentence; empty: nothing. `headgate check` says it."""
        return ""
