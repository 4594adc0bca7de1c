"""Where an attempt stands among those of its request, what it needs before it begins, and what follows when it fails.

The adapter has one for each attempt. It holds the slots of a target that is bounded (`concurrency`), from the attempt's beginning to its
end. Those of the target that is to be asked first are the gate's, until the request goes on to another one.
"""

import time
from collections.abc import Sequence

import msgspec

from extproc.call import Call
from extproc.engine import Engine
from extproc.envoy import names
from extproc.errors import Reject
from extproc.quotas import busy, too_much
from extproc.retrying import UNSAID, Failed, Next, Retrying, Turn, after, pause_after
from extproc.slots.slot import NO_LINE, Choice, Full, Line
from extproc.snapshot import Snapshot
from extproc.standing.verdict import blames_key
from extproc.tried import PLAN, SPENT, Tried, encode_plan, passed_key
from extproc.values import Target
from extproc.wire.outgoing import packed

_LINE = Line(most=64, wait=1.0)
"""How those wait who find the target full that they go on to. Nobody else can be asked then: Envoy has chosen."""


class Course:
    """One attempt's."""

    __slots__ = (
        "_call",
        "_engine",
        "_full",
        "_next",
        "_number",
        "_over",
        "_retrying",
        "_snapshot",
        "_ticket",
        "_turns",
        "at",
        "target",
        "wants",
    )

    def __init__(self, engine: Engine, call: Call, snapshot: Snapshot, number: int, at: int) -> None:
        """`number`: of the attempt, from 1 on; `at`: of its turn, which is another one where an older Envoy has left some out."""
        self._engine, self._call, self._snapshot, self._number, self.at = engine, call, snapshot, number, at
        self._retrying = call.retrying or (UNSAID if call.keys else None)
        turns = tuple(map(Turn, call.targets, call.keys or ("",) * len(call.targets)))
        # Where Envoy has come to the end of the list and had attempts left, it asks the last one again.
        self._turns = turns + turns[-1:] * (at - len(turns))
        self.target = self._turns[at - 1].target
        self._full: frozenset[Target] | None = None
        """Who has no room, where that has been asked."""
        self._ticket, self._over = b"", False
        self._next: tuple[Target, bytes] | None = None
        """Who will be asked next, and the ticket for its slots."""
        self.wants: Choice = ()
        """Slots that it needs, and has not yet."""

    # Before it.

    def begin(self, judged: str, handed: str) -> float:
        """Seconds to wait before it. `judged`: the last attempt whose failure was seen here, and what follows it decided. `handed`: the
        slots that were handed over last, and to which attempt. Raises `Reject` where nobody is to be asked any more, and Envoy goes on by
        itself.
        """
        self._settle_slots(handed)
        return self._mind(self._call.retrying, judged) if self._call.retrying is not None else 0.0

    def _mind(self, retrying: Retrying, judged: str) -> float:
        retries, budgets, unseen = retrying.retries, self._engine.budgets, judged != str(self._number - 1)
        if self._number > 1 and 0 < retrying.until < time.time():
            raise Reject(504, "deadline_exceeded", f"No answer within {retries.within:g} seconds (`retries.within`).")
        so_far = self._turns[: self.at]
        before = so_far[-2].target if len(so_far) > 1 else None
        if retries.fallback_budget is not None and before is None:
            budgets.asked(self._fleet, retries.fallback_budget)
        elif retries.fallback_budget is not None and unseen and before != self.target and not budgets.take(self._fleet):
            raise _spent(self._call.model)
        if all(turn.target != self.target for turn in so_far[:-1]):
            budgets.asked(self.target, retries.budget)
        elif retries.again and before == self.target and unseen:
            # The one before had no answer, which nobody could hold back; so this one waits.
            return pause_after(retries, so_far[:-1])
        return 0.0

    @property
    def _fleet(self) -> Target:
        """All targets of the model together, as budgets know them."""
        return Target("", self._call.retrying.model if self._call.retrying is not None else "")

    def _settle_slots(self, handed: str) -> None:
        quotas = self._snapshot.quotas
        if quotas is None or all(turn.target == self._turns[0].target for turn in self._turns[: self.at]):
            return
        if self._call.slot:
            self._engine.slots.give_back(bytes.fromhex(self._call.slot))
        wants, (number, _, ticket) = quotas.wants(self.target.provider, self.target.model), handed.partition(":")
        if ticket and number == str(self._number):
            self._ticket = bytes.fromhex(ticket)
            self._engine.slots.adopt(self._ticket, wants)
        else:
            self.wants = wants

    async def hold(self) -> None:
        """Has the slots that it wants. Raises `Reject` where there are none in time."""
        wants, self.wants = self.wants, ()
        taken = await self._engine.slots.take((wants,), _LINE)
        if isinstance(taken, Full):
            raise busy(self._call.model, taken, _LINE)
        if self._over:
            self._engine.slots.release(taken.ticket)
        else:
            self._ticket = taken.ticket

    def end(self) -> None:
        """It is over, whatever came of it."""
        self._over = True
        if self._ticket:
            self._engine.slots.release(self._ticket)
            self._ticket = b""
        self._drop_next()

    def _drop_next(self) -> None:
        """Gives back what was taken for the next one, if it was not handed over."""
        if self._next is not None:
            self._engine.slots.release(self._next[1])
            self._next = None

    def _hand_over(self, target: Target) -> dict[str, str]:
        """The next attempt is at this target, which may be made in another process: what it is told of the slots that are held for it."""
        if self._next is None or self._next[0] != target:
            return {}
        (_, ticket), self._next = self._next, None
        self._engine.slots.hand_over(ticket)
        return {names.HANDED: f"{self._number + 1}:{ticket.hex()}"}

    # After it.

    def heard(self, tried: Tried) -> None:
        """What came of it: an adapting bound is lower for a target that says that it has too much to do."""
        if self._ticket and too_much(tried) and (quotas := self._snapshot.quotas) is not None:
            quotas.overloaded(tried)

    @property
    def looks(self) -> bool:
        """Whether somebody who may be next is bounded, so that it is to be asked (`look`) who has room."""
        return self._snapshot.quotas is not None and any(self._wants_of_rest())

    def _wants_of_rest(self) -> list[Choice]:
        return [quotas.wants(one.provider, one.model) for one in self._rest()] if (quotas := self._snapshot.quotas) is not None else []

    def _rest(self) -> tuple[Target, ...]:
        """Who may be asked next."""
        refusals = self._retrying.refusals if self._retrying is not None else None
        named = (*refusals.length, *refusals.policy) if refusals is not None else ()
        later = (turn.target for turn in self._turns[self.at :])
        return tuple(one for one in dict.fromkeys((*later, *named)) if one != self.target)

    async def look(self) -> None:
        """Finds out who has room, before the failure is judged, and has the slots of the first who has."""
        slots, full, found = self._engine.slots, set[Target](), False
        later = {turn.target for turn in self._turns[self.at :]}
        for target, wants in zip(self._rest(), self._wants_of_rest(), strict=True):
            if target in later and found:
                continue  # it will be looked for when its turn comes
            taken = await slots.take((wants,), NO_LINE) if wants else None
            found = found or (target in later and not isinstance(taken, Full))
            if isinstance(taken, Full):
                full.add(target)
            elif taken is not None and target in later:
                self._next = target, taken.ticket
            elif taken is not None:
                slots.release(taken.ticket)
        self._full = frozenset(full)
        if self._over:
            self._drop_next()

    def _has_room(self, target: Target) -> bool:
        if self._full is not None:
            return target not in self._full
        quotas = self._snapshot.quotas
        return quotas is None or not (wants := quotas.wants(target.provider, target.model)) or not self._engine.slots.is_full(wants)

    def _may_step_in(self, target: Target) -> bool:
        """Of one that is named for a refusal: it is there, and neither left alone nor full."""
        pool = self._snapshot.pools.get(target.provider)
        shut = self._engine.standing.shut(target, pool.names if pool is not None else ())
        return not shut and self._snapshot.upstreams[target.provider].ready and self._has_room(target)

    def following(self, tried: Tried, status: int) -> Next | None:
        """What comes after it, where it failed with an answer that means `status`; None where Envoy knows by itself."""
        retrying = self._retrying
        if retrying is None and self._next is None and all(map(self._has_room, self._rest())):
            return None
        retrying = retrying or UNSAID
        failed = Failed(self.at, status, tried.reason, tried.resets, blames_key(tried.status, tried.reason))
        following = after(retrying, self._turns, failed, time.time(), self._engine.budgets.take, self._may_step_in, self._has_room)
        if following.goes_on and retrying.retries.fallback_budget is not None and not retrying.refusals.after(tried.reason):
            turns = following.turns or self._turns
            if turns[self.at].target != self.target and not self._engine.budgets.take(self._fleet):
                return Next(False)
        return following

    def told(self, following: Next) -> tuple[dict[str, str | bytes], bytes]:
        """How the gate, and how Envoy and the next attempts know what follows: two pieces of metadata."""
        use: dict[str, str | bytes] = {}
        if following.passed:
            use[passed_key(self._number + 1)] = encode_plan(following.passed)
        if not following.goes_on:
            return use, b""
        turns = following.turns or self._turns
        own = {names.JUDGED: str(self._number)} | self._hand_over(turns[self.at].target)
        if following.turns is None:
            return use, packed({names.NAMESPACE: own})
        targets = tuple(turn.target for turn in following.turns)
        keys = tuple(turn.key for turn in following.turns) if self._call.keys else ()
        own[names.CALL] = msgspec.json.encode(msgspec.structs.replace(self._call, targets=targets, keys=keys)).decode()
        use[PLAN] = encode_plan(targets)
        return use, packed({names.TARGETS_NAMESPACE: self._groups(targets), names.NAMESPACE: own})

    def _groups(self, targets: Sequence[Target]) -> object:
        upstreams = self._snapshot.upstreams
        return names.targets(upstreams[target.provider].cluster for target in targets)


def _spent(model: str) -> Reject:
    message = (
        f"No answer, and too many requests for {model!r} have gone on to another target of late (`retries.fallback_budget`). Try again."
    )
    return Reject(503, SPENT, message, headers=(("retry-after", "1"),))
