"""Incremental: each answer has what is new, what has changed, and the names of what is gone."""

from collections.abc import Collection

from extproc.xds.kinds import WHOLE
from extproc.xds.messages import Answer, DeltaAsk
from extproc.xds.resources import Resource
from extproc.xds.stream import EVERYTHING, Kind, Sent, Stream

GONE = ""
"""Version of what the node has asked for by name, and was told that it is not there."""


class DeltaStream(Stream):
    """A stream of `DeltaAggregatedResources`."""

    def receive(self, ask: DeltaAsk, now: float) -> list[Answer]:
        """A request; what is said to it."""
        one = self._kinds.get(ask.kind)
        if one is None:
            return self._begin(ask) or self._advance(now)
        # What it says of an answer and what it asks for may come together.
        self._heard(ask.kind, one, ask.nonce, ask.error)
        self._unsubscribe(one, ask)
        for name in ask.subscribe:
            # Who asks again for what he has wants to be told again: Envoy does for a cluster that has changed.
            one.told.pop(name, None)
        return (self._at_once(ask.kind, one, self._subscribe(one, ask)) if ask.subscribe else []) or self._advance(now)

    def _begin(self, ask: DeltaAsk) -> list[Answer]:
        # What the node has from an earlier stream, perhaps with a control plane before this one. It needs no bodies.
        one = Kind(
            everything=not ask.subscribe and ask.kind in WHOLE,
            told=dict(ask.initial),
            taken={name: Resource(name, version, b"") for name, version in ask.initial.items()},
            answered=bool(ask.initial),
        )
        self._asked_first(ask.kind, one)
        self._subscribe(one, ask)
        self._retire(ask.kind, one.taken)
        return self._at_once(ask.kind, one)

    @staticmethod
    def _subscribe(one: Kind, ask: DeltaAsk) -> Collection[str] | None:
        """The names that are asked for; None: all."""
        one.everything = one.everything or EVERYTHING in ask.subscribe
        one.names |= {name for name in ask.subscribe if name != EVERYTHING}
        return None if EVERYTHING in ask.subscribe else ask.subscribe

    @staticmethod
    def _unsubscribe(one: Kind, ask: DeltaAsk) -> None:
        one.everything = one.everything and EVERYTHING not in ask.unsubscribe
        one.names -= set(ask.unsubscribe)
        for name in [name for name in one.told if not one.wants(name)]:
            del one.told[name]
            one.taken.pop(name, None)

    def _answer(self, kind: str, one: Kind, only: Collection[str] | None) -> Answer | None:
        target = self._target(kind, one)
        # Of what the node has from an earlier stream, and is gone since, no more is known than the version.
        known = {name: resource for name, resource in target.items() if resource.body}
        changed = {name: resource for name, resource in known.items() if one.told.get(name) != resource.version or name in one.again}
        gone = [name for name in sorted({*one.told, *one.names}) if name not in target and one.told.get(name) != GONE]
        if only is not None:
            changed = {name: resource for name, resource in changed.items() if name in only}
            gone = [name for name in gone if name in only]
        if not changed and not gone and one.answered:
            return None
        for name, resource in changed.items():
            one.told[name] = resource.version
        for name in gone:
            if name in one.names:
                one.told[name] = GONE
            else:
                del one.told[name]
        version = self._wanted.id if self._wanted is not None else ""
        return self._sent(kind, one, {**changed, **dict.fromkeys(gone)}, version, tuple(gone))

    def _take(self, one: Kind, sent: Sent) -> None:
        for name, resource in sent.resources.items():
            if resource is None:
                one.taken.pop(name, None)
            elif one.wants(name):
                one.taken[name] = resource
