"""How targets and keys stand, for all workers of this machine: they tell what they heard, and are told what has changed.

With Redis, the machines of a fleet tell one another (`fleet.py`); without it, or while it is gone, each goes by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from extproc.config.model import Config, Model, Redis, aim, split_target
from extproc.control.attempts import AttemptsLog
from extproc.ledger.record import called
from extproc.ledger.standings import StandingMetrics
from extproc.link.server import Handler, Peer
from extproc.standing.board import Board, Change
from extproc.standing.cooling import Name
from extproc.standing.renewed import Asked, asked, renewed
from extproc.standing.told import BACK, HEARD, PROBE, Heard, Stand, decode_heard, decode_lease, decode_name, encode
from extproc.standing.verdict import meaning
from extproc.tried import NO_ANSWER, STOPPED

if TYPE_CHECKING:
    from extproc.control.fleet import Fleet

_WAITS = 1.0
"""Seconds for which what had no answer, or half of one, waits for Envoy's log to say why: Envoy writes four times a second."""
_MOST = 1024
"""Targets that are shown as closed from the start."""

_INSTANT = 0.01

_log = logging.getLogger(__name__)
Push = Callable[[bytes], Awaitable[object]]


class Standing:
    """All of them. Times are those of `time.monotonic`."""

    def __init__(
        self, push: Push, metrics: StandingMetrics, attempts_log: Path, changed: Callable[[Change], None] = lambda change: None
    ) -> None:  # fmt: skip
        """`push` tells all workers. `changed` is told of what this machine has found out."""
        self._push = push
        self._news = changed
        self._metrics = metrics
        self._attempts = AttemptsLog(attempts_log)
        self._readable = True
        self._board = Board(lambda _: None)
        self._waiting: list[tuple[float, Heard]] = []
        """What waits for Envoy's log, since when."""
        self.asked: dict[str, Asked] = {}
        """How providers are asked now."""
        self._redis: Redis | None = None
        self._fleet: Fleet | None = None
        self._pushed: list[tuple[object, ...]] = []
        self._tasks: set[asyncio.Task[object]] = set()
        self.handlers: dict[str, Handler] = {HEARD: self._heard, PROBE: self._probe, BACK: self._back}

    async def follow(self, config: Config) -> None:
        """The configuration that is in force now."""
        self._board.follow(config.breaker_of)
        targets = (Name(*split_target(one)) for model in config.models for one in _asked(model))
        named = list(dict.fromkeys(name for name in targets if name.model and config.breaker_of(name.provider) is not None))
        self._metrics.follow(named[:_MOST])
        if config.redis != self._redis:
            before, self._redis = self._fleet, config.redis
            self._fleet = _fleet(config.redis) if config.redis is not None else None
            if before is not None:
                await before.close()
        known, self.asked = self.asked, asked(config)
        self._forget(renewed(known, self.asked))
        self._tell_workers()

    def _forget(self, names: Iterable[Name]) -> None:
        ill = self._board.forget(names, time.monotonic())
        self._metrics.changed(ill)
        for who in dict.fromkeys(_called(change.name) for change in ill):
            _log.info("%s is asked again: what was known of it is forgotten with its old configuration, or its old key", who)
        if self._fleet is not None:
            self._fleet.tell(ill)

    def resume(self, stands: Iterable[Stand], before: Mapping[str, Asked]) -> None:
        """Goes on from how all stood for the control process before this one, after `follow`. What was half open is open for an instant.
        `before`: how providers were asked then. What it did not understand, or had no time to read, may have changed since.
        """
        now = time.monotonic()
        for one in stands:
            state: Literal["cooling", "open"] = "cooling" if one.state in ("cooling", "limited") else "open"
            change = Change(one.name, state, one.reason, max(_INSTANT, one.left), told=one.state == "cooling")
            self._board.adopt(change, now)
        self._forget(renewed(before, self.asked))
        self._tell_workers()

    async def close(self) -> None:
        """The end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._fleet is not None:
            await self._fleet.close()

    def message(self) -> bytes:
        """How all stand, as workers are told."""
        return encode(self._board.stands(time.monotonic()))

    def stands(self) -> list[Stand]:
        """All who do not stand well."""
        return self._board.stands(time.monotonic())

    def show(self) -> None:
        """Brings the metrics up to date."""
        now = time.monotonic()
        self._metrics.show(self._board.states(now), self._board.stands(now))

    # The workers.

    def _heard(self, peer: Peer, payload: bytes) -> bytes:
        now = time.monotonic()
        for heard in decode_heard(payload):
            if heard.request and heard.reason in (NO_ANSWER, STOPPED) and not self._told(heard):
                self._waiting.append((now, heard))
            else:
                self._hear(heard, now)
        self._changed()
        return b""

    def _told(self, heard: Heard) -> bool:
        """Whether Envoy's log has said why there was no answer, or half of one; then `heard` says it, too."""
        half = heard.reason == STOPPED
        found = self._attempts.find(heard.request, heard.provider, half=half)
        if found is None:
            return False
        heard.reason = found.reason
        if half:
            name = called(heard.request, heard.mirror_of)
            _log.warning("request %s: the answer of %s/%s broke off: %s", name, heard.provider, heard.model, found.reason)
        if found.began:
            heard.took = max(0.0, time.time() - found.began)
        return True

    def _hear(self, heard: Heard, now: float) -> None:
        means = meaning(heard.status, heard.reason)
        if means not in (None, "nothing"):
            self._metrics.failed(heard.provider, str(means), heard.times)
        self._board.hear(heard, now)

    def _probe(self, peer: Peer, payload: bytes) -> bytes | Awaitable[bytes]:
        name = decode_name(payload)
        number = self._board.lease(name, time.monotonic())
        if number > 0 and self._fleet is not None:
            return self._with_fleet(self._fleet, name, number)
        return self._granted(name, number)

    async def _with_fleet(self, fleet: Fleet, name: Name, number: int) -> bytes:
        granted = await fleet.lease(name, self._board.open_for(name))
        if not granted:
            self._board.give_back(name, number)
        return self._granted(name, number if granted else 0)

    def _granted(self, name: Name, number: int) -> bytes:
        if number > 0:
            self._metrics.probed(name.provider)
        return b"%d" % number

    def _back(self, peer: Peer, payload: bytes) -> bytes:
        lease = decode_lease(payload)
        self._board.give_back(lease.name, lease.number)
        return b""

    # What changes.

    async def step(self) -> None:
        """A few times a second: Envoy's log, the fleet's news, what is over."""
        self._read()
        now, waiting, self._waiting = time.monotonic(), self._waiting, []
        for since, heard in waiting:
            if self._told(heard) or now - since >= _WAITS:
                heard.took = max(heard.took, now - since)
                self._hear(heard, now)
            else:
                self._waiting.append((since, heard))
        self._changed()
        if self._fleet is not None:
            for change in await self._fleet.news():
                self._board.adopt(change, time.monotonic())
        self._tell_workers()

    def _read(self) -> None:
        try:
            self._attempts.read()
        except OSError as error:
            if self._readable:
                _log.warning("Envoy's log of attempts cannot be read, so nobody knows why some have no answer: %s", error)
            self._readable = False
        else:
            self._readable = True

    def _changed(self) -> None:
        changes = self._board.changes()
        if not changes:
            return
        self._metrics.changed(changes)
        for change in changes:
            _say(change)
            self._news(change)
        if self._fleet is not None:
            self._fleet.tell(changes)
        self._tell_workers()

    def _tell_workers(self) -> None:
        now = time.monotonic()
        stands = self._board.stands(now)
        if (told := _told_of(stands, now)) != self._pushed:
            self._pushed = told
            self._begin(self._push(encode(stands)))

    def _begin(self, work: Awaitable[object]) -> None:
        task: asyncio.Task[object] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _asked(model: Model) -> tuple[str, ...]:
    """All whom its requests, or copies of these, may go to."""
    mirrors = (model.mirror.to,) if model.mirror is not None else ()
    return (*(aim(one).to for one in (*model.targets, *model.on_context_length, *model.on_content_policy)), *mirrors)


def _fleet(redis: Redis) -> Fleet:
    # Optional: only a configuration that names a Redis needs the client.
    from extproc.control.fleet import Fleet  # noqa: PLC0415

    return Fleet(redis.url, redis.timeout)


def _told_of(stands: list[Stand], now: float) -> list[tuple[object, ...]]:
    """What is news to workers: who stands how, since when and until when."""
    return sorted((one.name, one.state, round(now - one.ago, 2), round(now + one.left, 2), one.reason) for one in stands)


def _called(name: Name) -> str:
    return f"{name.provider}/{name.model}" if name.model else f"{name.provider}, key {name.key},"


def _say(change: Change) -> None:
    name, who = change.name, _called(change.name)
    match change.state:
        case "open":
            _log.warning("%s is left alone for %.3g s: %s", who, change.left, change.why)
        case "half_open":
            _log.info("%s is tried again", who)
        case "closed":
            _log.info("%s answers again", who)
        case _ if change.told:
            _log.warning("%s is left alone for %.3g s, as it has asked to be%s", who, change.left, f" (key {name.key})" if name.key else "")
