"""Which version each node is to have.

A new version (the candidate) goes to the canaries first. When all of them have it, and have had it for a while (`settle`) without a
refusal, it goes to the rest; when those have had it as long, it is the stable one. If any node refuses a part of it before that, everybody
is told the stable one again, and the candidate is not offered any more until the configuration changes. After that, a node that refuses it
has a trouble of its own, for all others have taken it: it is reported, and changes nothing for them.
"""

from collections.abc import Collection

from msgspec import Struct

from extproc.xds.canaries import Canaries
from extproc.xds.nodes import Node


class Refusal(Struct, frozen=True):
    """Why a version was taken back."""

    version: str
    node: str
    kind: str
    why: str
    at: float


class State(Struct):
    """What is kept over a restart."""

    stable: str = ""
    candidate: str = ""
    """Empty: nothing is being rolled out."""
    spread: bool = False
    """The candidate goes to all."""
    refusal: Refusal | None = None
    """Of the configuration as it stands."""
    past: list[str] = []
    """Versions that were stable, the latest last."""


class Rollout:
    """One fleet's."""

    def __init__(self, canaries: Canaries, settle: float, keep: int, state: State | None = None) -> None:
        """`settle`: seconds; `keep`: versions that can be gone back to."""
        self.canaries = canaries
        self.state = state if state is not None else State()
        self._settle = settle
        self._keep = keep
        self._since: float | None = None
        """When all that have been told the candidate had it."""

    @property
    def phase(self) -> str:
        """How far it is: `none`, `canary`, `spreading`, `steady`."""
        if not self.state.candidate:
            return "steady" if self.state.stable else "none"
        return "spreading" if self.state.spread else "canary"

    def kept(self) -> Collection[str]:
        """The versions that may still be told."""
        return {*self.state.past, self.state.stable, self.state.candidate} - {""}

    def offer(self, version: str) -> bool:
        """The configuration says this. Whether that changes what nodes are to have."""
        state = self.state
        if version == state.candidate or (state.refusal is not None and version == state.refusal.version):
            return False
        state.refusal, self._since = None, None
        if version == state.stable:
            changed, state.candidate = bool(state.candidate), ""
            return changed
        # Where there is nothing yet, there is nothing to be careful with.
        state.candidate, state.spread = version, not self.canaries.wanted or not state.stable
        return True

    def wanted(self, node: Node) -> str:
        """The version that a node is to have; empty: there is none yet."""
        state = self.state
        if state.candidate and (state.spread or self.canaries.has(node)):
            return state.candidate
        return state.stable

    def observe(self, connected: Collection[Node], now: float) -> bool:
        """How the nodes stand. Whether that changes what they are to have."""
        state = self.state
        if not state.candidate:
            return False
        told = list(connected) if state.spread else self.canaries.pick(connected)
        if not all(node.complete == state.candidate for node in told) or not (told or state.spread):
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self._settle:
            return False
        self._since = None
        if state.spread:
            self._settled()
            return False
        state.spread = True
        return True

    def refuse(self, version: str, node: str, kind: str, why: str, now: float) -> bool:
        """A node has refused a part of a version. Whether that changes what nodes are to have."""
        state = self.state
        if version != state.candidate:
            return False
        state.refusal, self._since = Refusal(version, node, kind, why, now), None
        if not state.stable:
            # There is nothing to go back to; the others may do well with it.
            return False
        state.candidate = ""
        return True

    def promote(self) -> bool:
        """The operator does not want to wait for the canaries."""
        if self.phase != "canary":
            return False
        self.state.spread, self._since = True, None
        return True

    def roll_back(self, now: float) -> bool:
        """The operator wants the version before. What the configuration says is not offered until it changes."""
        state = self.state
        if state.candidate and state.stable:
            left, state.candidate = state.candidate, ""
        elif state.past:
            left, state.stable = state.stable, state.past.pop()
        else:
            return False
        state.refusal, self._since = Refusal(left, "", "", "rolled back by the operator", now), None
        return True

    def _settled(self) -> None:
        state = self.state
        if state.stable:
            others = [one for one in state.past if one not in (state.stable, state.candidate)]
            state.past = [*others, state.stable][-self._keep :]
        state.stable, state.candidate, state.spread = state.candidate, "", False
        if state.refusal is not None and state.refusal.version == state.stable:
            state.refusal = None
