"""A control plane: its nodes' streams, the versions, and the roll-out that says who is to have which. Without sockets."""

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from extproc.xds.delta import DeltaStream
from extproc.xds.kept import Kept
from extproc.xds.kinds import NAMES, ORDER
from extproc.xds.messages import Answer, Ask, DeltaAsk, Refused
from extproc.xds.nodes import Nack, Node, Nodes
from extproc.xds.resources import Version
from extproc.xds.rollout import Rollout
from extproc.xds.sotw import WholeStream

Say = Callable[[list[Answer]], None]

_log = logging.getLogger(__name__)


class Live(Struct, eq=False):
    """A node that is connected."""

    node: Node
    stream: DeltaStream | WholeStream
    say: Say


class Plane:
    """One fleet's."""

    def __init__(self, rollout: Rollout, versions: dict[str, Version], kept: Kept, clock: Callable[[], float] = time.time) -> None:
        self._rollout = rollout
        self._versions = versions
        self._kept = kept
        self._clock = clock
        self._nodes = Nodes()
        self._lives: list[Live] = []
        self._told = ""
        self.refusals = 0
        """So many since the start."""

    def offer(self, version: Version) -> None:
        """The configuration says this from now on."""
        if version.id not in self._versions:
            self._kept.add(version)
            self._versions[version.id] = version
        if self._rollout.offer(version.id):
            _log.info("version %s is rolled out: %s", version.id, self._rollout.phase)
        self._settle()

    def connect(self, node: Node, stream: DeltaStream | WholeStream, say: Say) -> Live:
        """A node has come. `say`: takes what it is to be told."""
        node.connected, node.since = True, self._clock()
        if any(live.node.id == node.id for live in self._lives):
            _log.warning("node %s has another stream already: two nodes of one id, or the same once more", node.id)
        live = Live(self._nodes.came(node), stream, say)
        self._lives.append(live)
        self._offer(live)
        _log.info("node %s (%s) is connected", node.id, node.address)
        return live

    def receive(self, live: Live, ask: Ask | DeltaAsk) -> None:
        """A node asks for something, or says what became of an answer."""
        stream = live.stream
        if isinstance(stream, DeltaStream):
            assert isinstance(ask, DeltaAsk)
            live.say(stream.receive(ask, self._clock()))
        else:
            assert isinstance(ask, Ask)
            live.say(stream.receive(ask, self._clock()))
        self._hear(live)

    def disconnect(self, live: Live) -> None:
        """It has gone; what it has, it keeps."""
        self._lives.remove(live)
        self._nodes.went(live.node, self._clock())
        _log.info("node %s is gone", live.node.id)

    def tick(self) -> None:
        """Time passes."""
        now = self._clock()
        for live in self._lives:
            live.say(live.stream.tick(now))
        self._settle()

    def promote(self) -> bool:
        """The candidate goes to all."""
        done = self._rollout.promote()
        self._settle()
        return done

    def roll_back(self) -> bool:
        """All get the version before."""
        done = self._rollout.roll_back(self._clock())
        self._settle()
        return done

    def status(self) -> dict[str, Any]:
        """All that people ask."""
        state = self._rollout.state
        nodes = [
            {
                **msgspec.to_builtins(node),
                "canary": self._rollout.canaries.has(node),
                "taken": {NAMES[kind]: node.taken[kind] for kind in ORDER if kind in node.taken},
            }
            for node in sorted(self._nodes, key=lambda node: node.id)
        ]
        return {"phase": self._rollout.phase, **msgspec.to_builtins(state), "refusals": self.refusals, "nodes": nodes}

    def _hear(self, live: Live) -> None:
        live.node.complete, live.node.taken = live.stream.complete, live.stream.versions
        for news in live.stream.news():
            if isinstance(news, Refused):
                self._refused(live.node, news)
            else:
                _log.info("node %s has version %s", live.node.id, news.version)

    def _refused(self, node: Node, news: Refused) -> None:
        now, kind = self._clock(), NAMES[news.kind]
        node.nack = Nack(news.version, kind, news.why, now)
        self.refusals += 1
        _log.warning("node %s refuses version %s (%s): %s", node.id, news.version, kind, news.why)
        if self._rollout.refuse(news.version, node.id, kind, news.why, now):
            _log.error("version %s is taken back from all nodes; version %s stays", news.version, self._rollout.state.stable)
        self._settle()

    def _settle(self) -> None:
        """Tells all what they are to have now, and keeps how far that is."""
        before = self._rollout.phase
        self._rollout.observe(self._nodes.connected(), self._clock())
        if self._rollout.phase != before:
            _log.info("the roll-out is %s", self._rollout.phase)
        for live in self._lives:
            self._offer(live)
        told = msgspec.json.encode(self._rollout.state).decode()
        if told != self._told:
            self._told = told
            self._kept.save(self._rollout.state)
            for gone in self._versions.keys() - set(self._rollout.kept()):
                # Nodes that still have it, and clusters that linger, need no more than what their streams hold.
                del self._versions[gone]
                self._kept.forget(gone)

    def _offer(self, live: Live) -> None:
        wanted = self._rollout.wanted(live.node)
        live.node.wanted = wanted
        if wanted:
            live.say(live.stream.offer(self._versions[wanted], self._clock()))
