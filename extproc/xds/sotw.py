"""State of the world: each answer has everything of its kind that the node wants. What is left out is gone, of clusters and listeners."""

from collections.abc import Collection

from extproc.xds.kinds import WHOLE
from extproc.xds.messages import Answer, Ask
from extproc.xds.resources import digest
from extproc.xds.stream import EVERYTHING, Kind, Sent, Stream


class WholeStream(Stream):
    """A stream of `StreamAggregatedResources`."""

    def receive(self, ask: Ask, now: float) -> list[Answer]:
        """A request; what is said to it."""
        one = self._kinds.get(ask.kind)
        if one is None:
            return self._begin(ask) or self._advance(now)
        about = ask.nonce in one.sent
        if one.sent and not about:
            # It was written before the last answer came, and the node will say what became of that.
            return []
        self._heard(ask.kind, one, ask.nonce, ask.error)
        # Who names more, or all the same once more, wants to be told. Who says what became of an answer, or names less, does not.
        asked = not set(ask.names) <= one.names or (not about and set(ask.names) == one.names)
        self._name(one, ask, first=False)
        if not asked:
            return self._advance(now)
        one.answered = False
        return self._at_once(ask.kind, one)

    def _begin(self, ask: Ask) -> list[Answer]:
        one = Kind()
        self._name(one, ask, first=True)
        target = self._target(ask.kind, one)
        if self._wanted is not None and ask.version and ask.version == digest(target):
            # From an earlier stream, perhaps with a control plane before this one.
            one.taken, one.told = target, {name: resource.version for name, resource in target.items()}
            one.answered, one.version = True, self._wanted.id
        self._asked_first(ask.kind, one)
        return self._at_once(ask.kind, one)

    @staticmethod
    def _name(one: Kind, ask: Ask, *, first: bool) -> None:
        # Where there were names before, none means none.
        unnamed = not ask.names and ask.kind in WHOLE and (first or one.everything)
        one.everything = unnamed or EVERYTHING in ask.names
        one.names = set(ask.names)

    def _answer(self, kind: str, one: Kind, only: Collection[str] | None) -> Answer | None:
        target = self._target(kind, one)
        versions = {name: resource.version for name, resource in target.items()}
        # What is wanted by name is taken back from nobody: who names it no more has forgotten it.
        same = versions == one.told if one.everything else versions.items() <= one.told.items()
        if same and one.answered and not one.again:
            return None
        one.told = versions
        one.again.clear()
        return self._sent(kind, one, dict(target), digest(target))

    def _take(self, one: Kind, sent: Sent) -> None:
        one.taken = {name: resource for name, resource in sent.resources.items() if resource is not None}
