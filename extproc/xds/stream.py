"""One node's stream, whichever protocol it speaks: what it wants, what it has, and what it is to be told next. No sockets, no clock.

Kinds are told one after the other: the next when the one before has been taken. What a node newly asks for is answered at once. What
is gone from a version lingers at the nodes that have it, until nobody can mean it any more. Behind a cluster that has changed, its
endpoints are told again: Envoy says nothing of clusters before they are there, and does not ask for them (tried on 1.40). A version
of which a part was refused is not pressed on: nothing more is told of it, until there is another one.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from msgspec import Struct, field

from extproc.xds.kinds import ENDPOINTS, FOLLOWERS, LINGERING, ORDER, SECRETS
from extproc.xds.messages import Answer, News, Refused, Taken, why
from extproc.xds.resources import Resource, Version

EVERYTHING = "*"
UNKNOWN = "?"
"""Version of what a node may or may not have, since it has refused the answer that it was in."""


class Sent(Struct, frozen=True):
    """An answer that the node has not said anything of yet."""

    version: str
    """Of all, not of the answer."""
    resources: dict[str, Resource | None]
    """None: it is removed."""
    changed: frozenset[str]


class Leaving(Struct):
    """What is gone from the version, and still at the node."""

    resource: Resource
    until: float | None = None
    """None: as long as the node has not taken the rest."""


class Kind(Struct):
    """What a node wants and has of one kind."""

    everything: bool = False
    names: set[str] = field(default_factory=set)
    """What it wants by name."""
    told: dict[str, str] = field(default_factory=dict)
    """Versions by name, of what it was told."""
    taken: dict[str, Resource] = field(default_factory=dict)
    """What it has taken."""
    sent: dict[str, Sent] = field(default_factory=dict)
    """By nonce."""
    answered: bool = False
    """False: it has to be answered, also if there is nothing to tell."""
    again: set[str] = field(default_factory=set)
    """To be told once more, though the node has it."""
    version: str = ""
    """The last version of all of which it has taken an answer."""

    def wants(self, name: str) -> bool:
        """Whether it has asked for that."""
        return self.everything or name in self.names


class Stream(ABC):
    """What both protocols share."""

    def __init__(self, linger: float) -> None:
        """`linger`: seconds for which a node keeps what is gone from the configuration."""
        self._linger = linger
        self._kinds: dict[str, Kind] = {}
        self._leaving: dict[str, dict[str, Leaving]] = {kind: {} for kind in LINGERING}
        self._owed: set[str] = set()
        """Endpoints to be told again, though the node has them, when it asks for endpoints."""
        self._wanted: Version | None = None
        self._refused = ""
        self._nonce = 0
        self._complete = ""
        self._news: list[News] = []

    @property
    def complete(self) -> str:
        """The version of which it has everything; empty if there is none."""
        return self._complete

    @property
    def versions(self) -> dict[str, str]:
        """By kind, the version of which it has taken the last answer."""
        return {kind: one.version for kind, one in self._kinds.items()}

    def news(self) -> list[News]:
        """What has happened since this was asked before."""
        news, self._news = self._news, []
        return news

    def offer(self, version: Version, now: float) -> list[Answer]:
        """From now on it is to have this version."""
        if self._wanted is not None and self._wanted.id == version.id:
            return []
        before, self._wanted, self._refused = self._wanted, version, ""
        if before is not None:
            # What is told by name may be asked for after it has gone, by whoever has the cluster that it belongs to.
            self._retire(ENDPOINTS, before.of(ENDPOINTS))
            self._retire(SECRETS, before.of(SECRETS))
        for kind, one in self._kinds.items():
            for sent in one.sent.values():
                self._retire(kind, {name: resource for name, resource in sent.resources.items() if resource is not None})
            # But not what it has been told to give up, and has not answered yet.
            self._retire(kind, {name: resource for name, resource in one.taken.items() if name in one.told})
        return self._advance(now)

    def tick(self, now: float) -> list[Answer]:
        """Time passes: what has lingered long enough goes."""
        over = False
        for leaving in self._leaving.values():
            for name in [name for name, entry in leaving.items() if entry.until is not None and entry.until <= now]:
                del leaving[name]
                over = True
        return self._advance(now) if over else []

    @abstractmethod
    def _answer(self, kind: str, one: Kind, only: Collection[str] | None) -> Answer | None:
        """What is to be told of one kind, or of some of it, so that the node has its target; None if it has been told."""

    @abstractmethod
    def _take(self, one: Kind, sent: Sent) -> None:
        """The node has taken an answer."""

    def _retire(self, kind: str, has: Mapping[str, Resource]) -> None:
        """What the node has, and is gone from what it is to have, begins to linger."""
        leaving = self._leaving.get(kind)
        if self._wanted is None or leaving is None:
            return
        new = self._wanted.of(kind)
        for name, resource in has.items():
            if name not in new:
                leaving.setdefault(name, Leaving(resource))
        for name in new:
            leaving.pop(name, None)

    def _heard(self, kind: str, one: Kind, nonce: str, error: str | None) -> None:
        """What became of an answer."""
        sent = one.sent.pop(nonce, None)
        if sent is None:
            return
        if error is None:
            self._take(one, sent)
            one.version = sent.version
            return
        # Envoy may have taken some of it, and does not say which.
        one.answered = False
        for name in sent.resources:
            one.told[name] = UNKNOWN
            if name not in one.taken:
                self._leaving.get(kind, {}).pop(name, None)
        self._complete = ""
        self._refused = sent.version
        self._news.append(Refused(sent.version, kind, why(error)))

    def _followed(self, answer: Answer) -> list[Answer]:
        """An answer, and what is to be told again right behind it."""
        kind, changed = FOLLOWERS.get(answer.kind, ""), self._kinds[answer.kind].sent[answer.nonce].changed
        if not kind or not changed:
            return [answer]
        # They are named alike.
        if (follower := self._kinds.get(kind)) is None:
            self._owed |= changed
            return [answer]
        follower.again |= follower.told.keys() & changed
        return [answer, *self._once_more(kind, follower)]

    def _asked_first(self, kind: str, one: Kind) -> None:
        """The node asks for a kind for the first time on this stream."""
        self._kinds[kind] = one
        if kind in FOLLOWERS.values():
            # What it has from an earlier stream may belong to a cluster that has changed on this one.
            one.again, self._owed = one.told.keys() & self._owed, set()

    def _once_more(self, kind: str, one: Kind) -> list[Answer]:
        if not one.again or one.sent:
            return []
        answer = self._answer(kind, one, one.again)
        return [answer] if answer is not None else []

    def _target(self, kind: str, one: Kind) -> dict[str, Resource]:
        """All that the node is to have of what it wants."""
        wanted = self._wanted.of(kind) if self._wanted is not None else {}
        leaving = {name: entry.resource for name, entry in self._leaving.get(kind, {}).items()}
        return {name: resource for name, resource in {**leaving, **wanted}.items() if one.wants(name)}

    def _at_once(self, kind: str, one: Kind, only: Collection[str] | None = None) -> list[Answer]:
        """What the node has just asked for waits for no other kind."""
        answer = self._answer(kind, one, only) if self._wanted is not None else None
        return self._followed(answer) if answer is not None else []

    def _advance(self, now: float) -> list[Answer]:
        """The next thing to tell, if the node has said what became of the one before."""
        if self._wanted is None or self._refused == self._wanted.id:
            return []
        for kind, asking in self._kinds.items():
            if answers := self._once_more(kind, asking):
                return answers
        for kind in ORDER:
            one = self._kinds.get(kind)
            if one is None:
                continue
            if not one.sent and (answer := self._answer(kind, one, None)) is not None:
                return self._followed(answer)
            if one.sent:
                return []
        self._finish(self._wanted, now)
        return []

    def _finish(self, wanted: Version, now: float) -> None:
        """All has been told, and taken. The node has a version when it has asked for all of it."""
        for kind, named in wanted.resources.items():
            one = self._kinds.get(kind)
            if named and (one is None or any(one.told.get(name) != resource.version for name, resource in named.items())):
                return
        for one in self._kinds.values():
            one.version = wanted.id
        for leaving in self._leaving.values():
            for entry in leaving.values():
                entry.until = now + self._linger if entry.until is None else entry.until
        if self._complete != wanted.id:
            self._complete = wanted.id
            self._news.append(Taken(wanted.id))

    def _sent(self, kind: str, one: Kind, resources: dict[str, Resource | None], version: str, removed: tuple[str, ...] = ()) -> Answer:
        assert self._wanted is not None
        self._nonce += 1
        nonce = str(self._nonce)
        changed = frozenset(
            name
            for name, resource in resources.items()
            if resource is not None and ((old := one.taken.get(name)) is None or old.version != resource.version)
        )
        one.sent[nonce] = Sent(self._wanted.id, resources, changed)
        one.answered = True
        one.again -= resources.keys()
        told = tuple(resource for resource in resources.values() if resource is not None)
        return Answer(kind=kind, version=version, nonce=nonce, resources=told, removed=removed)
