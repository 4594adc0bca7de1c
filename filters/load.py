"""How many requests of one tenant may be under way at once. Those beyond wait in line, if there is one, or are refused (429).

Stands behind `auth`, which says who is calling, and needs no body: who is refused here has not been read. A slot is held from here to the
end of the answer, streams included. Callers without keys are one tenant.
"""

import re
import time
from typing import Annotated, ClassVar

from msgspec import Meta

from extproc import (
    Choice,
    Environment,
    Filter,
    Full,
    Handler,
    Holding,
    Line,
    Queue,
    Reject,
    Request,
    Room,
    Slots,
    Taken,
    Want,
    come_again,
    glob_pattern,
)

Many = Annotated[int, Meta(ge=1, le=1_000_000)]
_REMEMBERED = 65_536
"""Tenants whose limit is not looked up again."""


class Load(Filter, frozen=True, kw_only=True):
    """Bounds the requests that each tenant may have under way at once, on one machine."""

    early: ClassVar[bool] = True

    concurrency: Many | None = None
    """So many, for each tenant by itself; no bound unless given."""
    tenants: dict[Annotated[str, Meta(max_length=256)], Many] = {}  # noqa: RUF012 - msgspec copies it
    """Other bounds, by tenant; `*` in a name stands for anything. Exact names win over patterns, longer patterns over shorter ones."""
    queue: Queue | None = None
    """Where those wait that are beyond, each tenant in a line of its own; unless given they are refused at once."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Load(self, environment.slots, environment.room)


class _Load:
    def __init__(self, settings: Load, slots: Slots, room: Room) -> None:
        self._slots = slots
        self._room = room
        self._usual = settings.concurrency
        self._exact = {name: most for name, most in settings.tenants.items() if "*" not in name}
        patterns = sorted((name for name in settings.tenants if "*" in name), key=lambda name: (-len(name), name))
        self._patterns = [(re.compile(glob_pattern(name), re.DOTALL), settings.tenants[name]) for name in patterns]
        self._line = Line(settings.queue.most, settings.queue.wait) if settings.queue is not None else Line()
        self._remembered: dict[str, tuple[Choice, ...]] = {}

    async def request(self, request: Request) -> Holding | None:
        choices = self._choices(request.identity.tenant)
        if not choices:
            return None
        taken = await self._slots.take(choices, self._line) if not self._line.most else await self._in_line(request, choices)
        if isinstance(taken, Full):
            raise self._refusal(choices[0][0].most, taken)
        return Holding(self._slots, taken.ticket)

    async def _in_line(self, request: Request, choices: tuple[Choice, ...]) -> Taken | Full:
        """As long as it waits Envoy holds its body, which therefore needs room as if it were read."""
        length = request.headers.get("content-length", "" if request.endpoint.buffered else "0")
        held = self._room.claim(request.identity.tenant, length)
        began = time.perf_counter()
        try:
            return await self._slots.take(choices, self._line)
        finally:
            request.record.waited(time.perf_counter() - began, known=not request.endpoint.buffered)
            if held is not None:
                held.settle(0)

    def _choices(self, tenant: str) -> tuple[Choice, ...]:
        found = self._remembered.get(tenant)
        if found is None:
            most = self._most(tenant)
            found = ((Want(f"tenant:{tenant}", most),),) if most is not None else ()
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[tenant] = found
        return found

    def _most(self, tenant: str) -> int | None:
        if (most := self._exact.get(tenant)) is not None:
            return most
        return next((most for pattern, most in self._patterns if pattern.fullmatch(tenant)), self._usual)

    def _refusal(self, most: int, full: Full) -> Reject:
        waited = f" This one waited {self._line.wait:g} s for one of them to end." if full.waited else ""
        many = "1 request" if most == 1 else f"{most} requests"
        message = f"You have {many} under way, as many as you may have (`concurrency` of the filter `load`).{waited} Try again."
        return Reject(429, "concurrency_limit", message, headers=(come_again(full.again),))
