"""Slots that the workers of this machine share: handed out by the control process, exactly, and given back by workers that die."""

import time
from collections.abc import Awaitable, Callable, Mapping

from extproc.slots import messages
from extproc.slots.desk import Desk
from extproc.slots.messages import Told, encode, read_hold, read_take
from extproc.slots.slot import Choice


class SlotService:
    """`handlers` go to the `LinkServer`, `disconnected` to its hook. It knows no configuration: who asks says how many slots there are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from anywhere."""
        self._desk = Desk(clock=clock)
        self.table = self._desk.table
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], bytes | Awaitable[bytes]]]:
        """What workers may call."""
        return {
            messages.TAKE: self._take,
            messages.HOLD: self._hold,
            messages.LEAVE: self._leave,
            messages.RELEASE: self._release,
            messages.ABANDON: self._abandon,
            messages.OVERLOADED: self._overloaded,
        }

    def disconnected(self, peer: object) -> None:
        """A worker is gone: what it holds is free, and nobody waits for it."""
        self.table.dead(peer, self._clock())

    def _take(self, peer: object, payload: bytes) -> bytes | Awaitable[bytes]:
        wish = read_take(payload)
        at = self._desk.take(wish.ticket, peer, wish.choices, wish.line)
        if at is None or isinstance(at, int):
            return self._told(at, wish.choices, waited=False)
        return self._waited(at, wish.choices)

    async def _waited(self, waiting: Awaitable[int | None], choices: tuple[Choice, ...]) -> bytes:
        return self._told(await waiting, choices, waited=True)

    def _told(self, at: int | None, choices: tuple[Choice, ...], *, waited: bool) -> bytes:
        if at is not None:
            return encode(Told(at))
        scope = self.table.full(choices)
        return encode(Told(-1, scope, self.table.after(scope), waited))

    def _hold(self, peer: object, payload: bytes) -> bytes:
        held = read_hold(payload)
        self.table.hold(held.ticket, peer, held.choice, self._clock())
        return b""

    def _leave(self, peer: object, payload: bytes) -> bytes:
        self.table.leave(payload, self._clock())
        return b""

    def _release(self, peer: object, payload: bytes) -> bytes:
        self.table.release(payload, self._clock())
        return b""

    def _abandon(self, peer: object, payload: bytes) -> bytes:
        self.table.abandon(payload, peer, self._clock())
        return b""

    def _overloaded(self, peer: object, payload: bytes) -> bytes:
        self.table.overloaded(payload.decode(), self._clock())
        return b""
