"""What the control process does for the workers, over the link: it answers what they ask, and tells them what is new."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec import msgpack

from extproc.admin.setup import LINK as API_LINK
from extproc.cachestore.shared import CacheService
from extproc.cachestore.shelf import Shelf
from extproc.callers.issuers import ISSUERS, RENEW
from extproc.checked import HEALTH, decode_ill
from extproc.clock import LAST_WORDS
from extproc.config.model import Config
from extproc.control.directory import Directory
from extproc.control.google import Tokens
from extproc.control.handover import Handover
from extproc.control.health import Checks
from extproc.control.identities import Identities
from extproc.control.issuers import Issuers
from extproc.control.naming import Naming
from extproc.control.notifications import Notifier
from extproc.control.settling import Settling, log_news
from extproc.control.slots import SlotService
from extproc.control.standing import Standing
from extproc.control.trust import ca_file
from extproc.control.way_out import WayOut
from extproc.ledger.metrics import Metrics
from extproc.limits import quotes
from extproc.limits.news import News
from extproc.limits.quotes import PRICE
from extproc.limits.service import LimitService
from extproc.link.client import BACK
from extproc.link.server import Handler, LinkServer, Peer
from extproc.notifications.event import limit_event
from extproc.price import Price
from extproc.standing.status import providers_status
from extproc.standing.told import STANDING, Stand
from extproc.tokens import TOKENS
from extproc.turns.service import TurnService
from extproc.worker import ENDING, FINISH, LINK, NOTICE, SNAPSHOT, Notice

Quote = Callable[[str, str], Awaitable[Price | None]]

_HANDED_OVER = 5.0
"""Seconds in which workers are told that another one takes over."""


async def _nobody_knows(provider: str, model: str) -> Price | None:
    return None


class Services:
    """All of them, and the link that they share."""

    def __init__(
        self,
        run_dir: Path,
        state: Path,
        shelf: Shelf,
        metrics: Metrics,
        attempts_log: Path,
        heard: Callable[[Notice], bool],
        directory: Directory,
        *,
        silent: bool,
    ) -> None:
        """`heard`: takes a worker's notice; False if it is one that is on its way out. `silent`: workers have what they need from the
        control process before, until `speak`: they hear of settings when Envoy knows all providers that are in them, and of tokens when
        there are some.
        """
        self.message = b""
        """The snapshot in force, encoded."""
        self._silent = silent
        self._way = WayOut()
        self._metrics = metrics
        self._workers_heard = heard
        self._cache = CacheService(shelf)
        self._turns = TurnService(state)
        self._slots = SlotService()
        self._state = state
        self._identities = Identities(state)
        limits = LimitService()
        self.settling = Settling(limits, self._limit_news)
        """What was used of limits."""
        self.quote: Quote = _nobody_knows
        """What a target charges, by provider and model; of whoever has the price lists."""
        self.notifier = Notifier(
            state, metrics.notifications, ca_file=ca_file, keys=lambda *where: self._identities.expiring(*where),  # noqa: PLW0108 - another one after a reload
            stands=lambda: self.standing.stands(),  # noqa: PLW0108 - each knows the other
            way=self._way,
        )  # fmt: skip
        self._naming = Naming(lambda ids: self._identities.named(ids), self.notifier.tell)  # noqa: PLW0108 - another one after a reload
        self.standing = Standing(lambda message: self._tell(STANDING, message), metrics.standing, attempts_log, self.notifier.changed)
        self.tokens = Tokens(lambda message: self._tell(TOKENS, message), metrics, way=self._way)
        self.checks = Checks(
            lambda message: self._tell(HEALTH, message), metrics, self.tokens.bearer, run_dir=str(run_dir), ca_file=ca_file,
            way=self._way,
        )  # fmt: skip
        self.issuers = Issuers(self._tell_issuers, metrics, ca_file=ca_file, way=self._way)
        self._api_link = LinkServer(
            str(run_dir / API_LINK), {RENEW: self.issuers.renew}, on_connect=lambda peer: peer.push(ISSUERS, self.issuers.message())
        )  # fmt: skip
        asked = (
            self._cache.handlers, self._turns.handlers, self.standing.handlers, self._slots.handlers, limits.handlers,
            self.settling.handlers, directory.handlers,
        )  # fmt: skip
        handlers: dict[str, Handler] = {name: handler for each in asked for name, handler in each.items()}
        handlers |= {NOTICE: self._heard, RENEW: self.issuers.renew, PRICE: self._price}
        self._link = LinkServer(str(run_dir / LINK), handlers, on_connect=self._connected, on_disconnect=self._disconnected)

    async def _tell_issuers(self, message: bytes) -> None:
        await self._tell(ISSUERS, message)
        await self._api_link.push(ISSUERS, message)

    def lead(self, config: Config) -> None:
        """By which way what is asked for from now on goes out."""
        self._way.follow(config.egress)

    async def start(self, config: Config, handed: Handover) -> None:
        """Begins to answer. `handed`: what the control process before has left, of which this is the socket that is listened on, and what
        is known of targets.
        """
        await self._link.start(*(socket.socket(fileno=descriptor) for descriptor in handed.sockets.get("link", ())))
        await self._api_link.start()
        self.lead(config)
        await self.tokens.follow(config)
        await self.issuers.follow(config)
        await self.standing.follow(config)
        self.standing.resume(handed.standing, handed.asked)
        await self.notify(config)

    async def notify(self, config: Config) -> bool:
        """These are the receivers now, and this is where keys are looked for that expire. Whether the receivers are others than before."""
        self._identities = Identities(self._state, config.store.url if config.store is not None else "")
        return await self.notifier.follow(config.notifications)

    async def speak(self) -> None:
        """Tells the workers everything, where they have been told nothing yet."""
        if self._silent:
            self._silent = False
            for method, message in self._news():
                await self._link.push(method, message)

    async def swap(self, message: bytes) -> int:
        """Makes a snapshot the one in force. Returns how many workers have taken it."""
        self.message = message
        return await self._link.push(SNAPSHOT, message)

    async def ending(self) -> None:
        """Has workers say that they are not well, while they serve on."""
        await self._link.push(ENDING)

    async def finish(self) -> None:
        """Has workers end their streams with their last words."""
        await self._link.push(FINISH, timeout=LAST_WORDS)

    def status(self, config: Config) -> dict[str, Any]:
        """How providers, targets and keys stand, for people."""
        return providers_status(config, self.standing.stands(), decode_ill(self.checks.message()))

    async def show(self) -> None:
        """Brings the metrics up to date."""
        self.standing.show()
        await self.notifier.show()
        self._metrics.conversations(self._turns.counts, self._turns.count, self._turns.size)

    async def sweep(self) -> None:
        """Lets go of what is over."""
        await self._turns.sweep()

    async def leave(self) -> tuple[int, tuple[Stand, ...]]:
        """Ends, for another one that takes over: the descriptor of the socket that is listened on, and what is known of targets."""
        await self.checks.close()
        await self.tokens.close()
        await self.issuers.close()
        await self._api_link.close()
        kept = self._link.keep()
        await self._link.away(_HANDED_OVER)
        stands = tuple(self.standing.stands())
        await self.standing.close()
        await self._naming.close()
        await self.notifier.close()
        await self._turns.close()
        return kept, stands

    async def close(self) -> None:
        """Ends."""
        await self.checks.close()
        await self.tokens.close()
        await self.issuers.close()
        await self.standing.close()
        await self._naming.close()
        await self.notifier.close()
        await self._link.close()
        await self._api_link.close()
        await self._turns.close()

    def _news(self) -> tuple[tuple[str, bytes], ...]:
        # A request that comes at once has its token.
        return (
            (TOKENS, self.tokens.message()), (STANDING, self.standing.message()), (HEALTH, self.checks.message()),
            (ISSUERS, self.issuers.message()), (SNAPSHOT, self.message),
        )  # fmt: skip

    async def _tell(self, method: str, message: bytes) -> int:
        return 0 if self._silent else await self._link.push(method, message)

    def _connected(self, peer: Peer) -> None:
        if self._silent:
            peer.push(BACK)
            return
        for method, message in self._news():
            peer.push(method, message)

    def _disconnected(self, peer: Peer) -> None:
        self._cache.disconnected(peer)
        self._slots.disconnected(peer)

    def _limit_news(self, news: News) -> None:
        log_news(news)
        if (event := limit_event(news)) is not None:
            self._naming.tell(event)

    async def _price(self, peer: Peer, payload: bytes) -> bytes:
        return quotes.encode(await self.quote(*quotes.read_asked(payload)))

    def _heard(self, peer: Peer, payload: bytes) -> bytes:
        notice = msgpack.decode(payload, type=Notice)
        if self._workers_heard(notice):
            self._metrics.journal(notice.worker, notice.failures, notice.lost, notice.waiting)
            self._metrics.handshakes(notice.worker, notice.handshakes)
            load = notice.load
            slots = {kind: (count.held, count.waiting) for kind, count in load.slots.items()}
            self._metrics.limits.tell(notice.worker, notice.over_limit, notice.counted_alone)
            self._metrics.load.tell(notice.worker, slots, load.refused, limit=load.limit, bodies=load.bodies, unmirrored=load.unmirrored)
        return b""
