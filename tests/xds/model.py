"""Clients as the protocol's specification has them: they keep what they are told, and ask for what that refers to."""

from collections.abc import Mapping

from extproc.xds.delta import DeltaStream
from extproc.xds.kinds import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES
from extproc.xds.messages import Answer, Ask, DeltaAsk
from extproc.xds.resources import Resource, Version, resource, version
from extproc.xds.sotw import WholeStream

LINGER = 30.0
REFERS = {CLUSTERS: ENDPOINTS, LISTENERS: ROUTES}


def made(clusters: Mapping[str, int], listeners: Mapping[str, int] | None = None, routes: int = 0) -> Version:
    """A version whose clusters have endpoints of their own, and whose listeners have the same routes. Numbers tell contents apart."""
    listeners = {"l": 0} if listeners is None else listeners
    return version({
        CLUSTERS: [resource(name, f"{name} {content}".encode()) for name, content in clusters.items()],
        ENDPOINTS: [resource(name, f"at {name} {content % 2}".encode()) for name, content in clusters.items()],
        LISTENERS: [resource(name, f"{name} {content}".encode()) for name, content in listeners.items()],
        ROUTES: [resource("r", f"r {routes}".encode())] if listeners else [],
    })  # fmt: skip


class Client:
    """What both protocols' clients share. `bad`: contents that it refuses."""

    def __init__(self, stream: DeltaStream | WholeStream, bad: frozenset[str] = frozenset()) -> None:
        self.stream = stream
        self.bad = bad
        self.has: dict[str, dict[str, Resource]] = {kind: {} for kind in (CLUSTERS, ENDPOINTS, LISTENERS, ROUTES)}
        self.inbox: list[Answer] = []
        self.answers = 0
        self.now = 0.0
        self._held: list[Answer] = []
        self.starved: set[str] = set()
        """Clusters that changed, and have not been told their endpoints since."""

    def offer(self, version: Version) -> None:
        """The control plane has another version for it."""
        self.inbox += self.stream.offer(version, self.now)

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.inbox += self.stream.tick(self.now)

    def settle(self) -> None:
        """Reads all that comes."""
        for _ in range(100):
            if not self.inbox:
                return
            self.read()
        raise AssertionError("it never ends")

    def read(self) -> None:
        """Reads the next answer."""
        answer = self.inbox.pop(0)
        self.answers += 1
        assert all(one.body for one in answer.resources)
        if any(one.body.decode() in self.bad for one in answer.resources):
            self._refuse(answer)
            return
        before = dict(self.has[answer.kind])
        self._keep(answer)
        after = self.has[answer.kind]
        if answer.kind == CLUSTERS:
            changed = {name for name in after if before.get(name) != after[name]}
            self.starved = (self.starved | changed) & set(after)
            self._name(ENDPOINTS, set(after))
            # As Envoy does: nothing is said of clusters as long as some of them wait for their endpoints.
            self._held.append(answer)
        else:
            self._say(answer)
        if answer.kind == LISTENERS:
            self._name(ROUTES, {"r"} if after else set())
        if answer.kind == ENDPOINTS:
            self.starved -= {one.name for one in answer.resources} | set(answer.removed)
        while self._held and not self.starved:
            self._say(self._held.pop(0))

    def contents(self) -> dict[str, dict[str, str]]:
        """What it has, by kind and name."""
        return {kind: {name: one.version for name, one in named.items()} for kind, named in self.has.items()}

    def start(self) -> None:
        """Its first requests."""
        raise NotImplementedError

    def _keep(self, answer: Answer) -> None:
        raise NotImplementedError

    def _say(self, answer: Answer) -> None:
        raise NotImplementedError

    def _refuse(self, answer: Answer) -> None:
        raise NotImplementedError

    def _name(self, kind: str, names: set[str]) -> None:
        raise NotImplementedError


class Whole(Client):
    """State of the world."""

    stream: WholeStream

    def __init__(self, stream: WholeStream, bad: frozenset[str] = frozenset(), before: "Whole | None" = None) -> None:
        super().__init__(stream, bad)
        self._names: dict[str, set[str]] = {}
        self._last: dict[str, tuple[str, str]] = {}
        if before is not None:
            self.has, self._names = before.has, before._names
            self._last = {kind: (version, "") for kind, (version, _) in before._last.items()}

    def start(self) -> None:
        for kind in (CLUSTERS, LISTENERS, *(kind for kind in (ENDPOINTS, ROUTES) if kind in self._names)):
            self._ask(kind)

    def _ask(self, kind: str, error: str | None = None, nonce: str | None = None) -> None:
        version, last = self._last.get(kind, ("", ""))
        names = tuple(sorted(self._names.get(kind, ())))
        ask = Ask(kind=kind, names=names, version=version, nonce=last if nonce is None else nonce, error=error)
        self.inbox += self.stream.receive(ask, self.now)

    def _keep(self, answer: Answer) -> None:
        told = {one.name: one for one in answer.resources}
        self.has[answer.kind] = told if answer.kind in REFERS else self.has[answer.kind] | told
        self._last[answer.kind] = (answer.version, answer.nonce)

    def _say(self, answer: Answer) -> None:
        self._ask(answer.kind)

    def _refuse(self, answer: Answer) -> None:
        version, _ = self._last.get(answer.kind, ("", ""))
        self._last[answer.kind] = (version, answer.nonce)
        self._ask(answer.kind, error="bad")

    def _name(self, kind: str, names: set[str]) -> None:
        if names == self._names.get(kind, set()):
            return
        first = kind not in self._names
        self._names[kind] = names
        self.has[kind] = {name: one for name, one in self.has[kind].items() if name in names}
        if names or not first:
            self._ask(kind)


class Delta(Client):
    """Incremental."""

    stream: DeltaStream

    def __init__(self, stream: DeltaStream, bad: frozenset[str] = frozenset(), before: "Delta | None" = None) -> None:
        super().__init__(stream, bad)
        self._names: dict[str, set[str]] = {}
        self._begun: set[str] = set()
        if before is not None:
            self.has, self._names = before.has, before._names

    def start(self) -> None:
        for kind in (CLUSTERS, LISTENERS, *(kind for kind in (ENDPOINTS, ROUTES) if kind in self._names)):
            initial = {name: one.version for name, one in self.has[kind].items()}
            self._begun.add(kind)
            self._tell(DeltaAsk(kind=kind, subscribe=tuple(sorted(self._names.get(kind, ()))), initial=initial))

    def _tell(self, ask: DeltaAsk) -> None:
        self.inbox += self.stream.receive(ask, self.now)

    def _keep(self, answer: Answer) -> None:
        kept = self.has[answer.kind]
        for name in answer.removed:
            kept.pop(name, None)
        kept |= {one.name: one for one in answer.resources}

    def _say(self, answer: Answer) -> None:
        self._tell(DeltaAsk(kind=answer.kind, nonce=answer.nonce))

    def _refuse(self, answer: Answer) -> None:
        # Envoy takes the good ones among clusters and listeners.
        good = tuple(one for one in answer.resources if one.body.decode() not in self.bad)
        self._keep(Answer(kind=answer.kind, version="", nonce="", resources=good, removed=answer.removed))
        self._tell(DeltaAsk(kind=answer.kind, nonce=answer.nonce, error="bad"))

    def _name(self, kind: str, names: set[str]) -> None:
        before = self._names.get(kind, set())
        if names == before:
            return
        self._names[kind] = names
        self.has[kind] = {name: one for name, one in self.has[kind].items() if name in names}
        new, old = tuple(sorted(names - before)), tuple(sorted(before - names))
        self._tell(DeltaAsk(kind=kind, subscribe=new, unsubscribe=old))


def whole(bad: frozenset[str] = frozenset(), before: Client | None = None) -> Client:
    """A client and its stream."""
    assert before is None or isinstance(before, Whole)
    return Whole(WholeStream(LINGER), bad, before)


def delta(bad: frozenset[str] = frozenset(), before: Client | None = None) -> Client:
    """A client and its stream."""
    assert before is None or isinstance(before, Delta)
    return Delta(DeltaStream(LINGER), bad, before)
