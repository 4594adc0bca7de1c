"""A machine that plays requests against those who count, and a model that adds everything up anew from a list of what happened."""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from extproc.limits.limit import Charge, Crossed, Granted, Look, Refused, Settlement
from extproc.limits.rule import Terms, Want
from extproc.limits.window import UNDER_WAY, Window, spot

TTL = 64.0
"""Seconds for which the machine reserves."""
START = 1_774_742_400.0
"""A day on which Berlin's clocks are changed, 2026-03-29, in the first hour there."""
SOURCE = "ledger"

TERMS = {
    "minute": Terms(10, Window("minute")),
    "day": Terms(30, Window("day", zone="Europe/Berlin")),
    "sliding": Terms(12, Window("sliding", 32), thresholds=(0.5, 1.0)),
    "long": Terms(20, Window("sliding", 3600)),
    "soft": Terms(8, Window("hour"), hard=False),
    "under way": Terms(3, UNDER_WAY),
}
amounts = st.integers(0, 5)
wishes = st.dictionaries(st.sampled_from(sorted(TERMS)), amounts, min_size=1, max_size=4).map(
    lambda drawn: tuple(Want(name, TERMS[name], amount, "org") for name, amount in drawn.items())
)


class Reserved(NamedTuple):
    """What the model knows of a request."""

    wants: tuple[Want, ...]
    at: float
    over: int

    def less(self, counter: str, amount: int) -> "Reserved":
        """The same, and so much less of one counter."""
        less = [replace(want, amount=want.amount - min(want.amount, amount)) if want.counter == counter else want for want in self.wants]
        return self._replace(wants=tuple(less))

    def over_but_for_settling(self) -> "Reserved":
        """The same without its slots."""
        return self._replace(wants=tuple(want for want in self.wants if want.terms.window != UNDER_WAY))


class Used(NamedTuple):
    """What was settled."""

    counter: str
    window: str
    part: int
    amount: int


class Counting(RuleBasedStateMachine):
    """Requests come, go on, end, are settled, told again, and forgotten about."""

    turns_back = True
    """Whether this one's clock may be set back."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.number = 0
        self.live: dict[bytes, Reserved] = {}
        self.under_way: dict[bytes, Reserved] = {}
        self.used: list[Used] = []
        self.left: set[tuple[bytes, str]] = set()
        """What is reserved, but has left a sliding window before the clock was set back."""
        self.leases: set[bytes] = set()
        """Tickets of which something was settled that whoever holds them does not know of."""
        self.latest = START
        self.told: dict[tuple[str, str, float], int] = {}
        self.settlements: list[Settlement] = []
        self.open()

    # What a subclass does.

    def open(self) -> None:
        raise NotImplementedError

    def reserve(self, ticket: bytes, wants: tuple[Want, ...]) -> Granted | Refused:
        raise NotImplementedError

    def release(self, ticket: bytes) -> None:
        raise NotImplementedError

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        raise NotImplementedError

    def hold(self, ticket: bytes, reserved: Reserved) -> None:
        raise NotImplementedError

    def shrink(self, ticket: bytes, want: Want, at: float) -> None:
        raise NotImplementedError

    def settle(self, settlements: list[Settlement]) -> list[Crossed]:
        raise NotImplementedError

    def look(self, names: Iterable[str]) -> list[Look]:
        raise NotImplementedError

    def let_go(self) -> None:
        """All that is over by now is let go of."""

    # The model.

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    def expected(self, name: str) -> Look:
        terms = TERMS[name]
        here = spot(terms.window, self.ms)
        settled = sum(
            used.amount for used in self.used if used.counter == name and used.window == here.name and self.counts(used.part, terms)
        )
        held = 0
        for ticket, one in self.live.items():
            there = spot(terms.window, int(one.at * 1000))
            if there.name == here.name and self.counts(there.part, terms) and one.over > self.ms and (ticket, name) not in self.left:
                held += sum(want.amount for want in one.wants if want.counter == name)
        return Look(settled + held, settled)

    def counts(self, part: int, terms: Terms) -> bool:
        return not terms.window.part or self.ms < (part + 17) * terms.window.part

    def over(self) -> int:
        grid = int(TTL * 1000) // 16
        return -(-(self.ms + int(TTL * 1000)) // grid) * grid

    def crosses(self, settlement: Settlement) -> set[tuple[str, float]]:
        """Counts it, and finds what it crosses."""
        found = set()
        self.live.pop(settlement.ticket, None)
        for charge in settlement.charges:
            if charge.lease in self.live:
                self.live[charge.lease] = self.live[charge.lease].less(charge.counter, charge.taken)
            terms, there = charge.terms, spot(charge.terms.window, int(settlement.at * 1000))
            if terms.window == UNDER_WAY or not self.counts(there.part, terms) or there.ends + there.grace <= self.ms:
                continue
            self.used.append(Used(charge.counter, there.name, there.part, charge.amount))
            settled = sum(
                used.amount
                for used in self.used
                if used.counter == charge.counter and used.window == there.name and self.counts(used.part, terms)
            )
            for share in terms.thresholds:
                key = charge.counter, there.name, share
                if settled >= share * terms.most and (key not in self.told or not self.counts(self.told[key], terms)):
                    self.told[key] = there.part
                    found.add((charge.counter, share))
        return found

    # What happens.

    @rule(wants=wishes)
    def come(self, wants: tuple[Want, ...]) -> None:
        self.number += 1
        ticket = b"t%d" % self.number
        looks = [self.expected(want.counter) for want in wants]
        short = [
            at
            for at, (want, look) in enumerate(zip(wants, looks, strict=True))
            if want.terms.hard and want.amount and look.used + want.amount > want.terms.most
        ]
        found = self.reserve(ticket, wants)
        if short:
            assert isinstance(found, Refused) and found.at in short and found.resets > self.now
            assert found.left == wants[found.at].terms.most - looks[found.at].used
            return
        assert isinstance(found, Granted)
        assert [state.left for state in found.states] == [
            want.terms.most - look.used - want.amount for want, look in zip(wants, looks, strict=True)
        ]
        self.live[ticket] = self.under_way[ticket] = Reserved(wants, self.now, self.over())

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), late=st.booleans())
    def end(self, data: st.DataObject, late: bool) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.under_way)))
        one = self.under_way.pop(ticket)
        charges = tuple(Charge(want.counter, want.terms, data.draw(amounts), "org") for want in one.wants)
        self.number += 1
        settlement = Settlement(self.number, ticket, one.at, charges)
        self.settlements.append(settlement)
        crossed = self.settle([settlement])
        assert {(each.counter, each.threshold) for each in crossed} == self.crosses(settlement)

    @precondition(lambda self: self.settlements)
    @rule(data=st.data())
    def is_told_again(self, data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(self.settlements) - 1))
        assert self.settle(self.settlements[begin:]) == []

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def use_nothing(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.under_way)))
        del self.under_way[ticket]
        self.live.pop(ticket, None)
        self.release(ticket)
        self.release(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def be_over(self, data: st.DataObject) -> None:
        """Its slots are free, and the rest waits for its settlement."""
        ticket = data.draw(st.sampled_from(sorted(self.under_way)))
        one = self.under_way[ticket]
        self.under_way[ticket] = one.over_but_for_settling()
        if ticket in self.live:
            self.live[ticket] = self.live[ticket].over_but_for_settling()
        for _ in range(2):
            self.free(ticket, one.wants)

    @rule()
    def strangers_change_nothing(self) -> None:
        self.release(b"stranger")

    @precondition(lambda self: any(one.wants for one in self.under_way.values()))
    @rule(data=st.data(), amount=amounts)
    def a_part_comes_back(self, data: st.DataObject, amount: int) -> None:
        """As of a lease that ends."""
        ticket = data.draw(st.sampled_from(sorted(ticket for ticket, one in self.under_way.items() if one.wants)))
        want = data.draw(st.sampled_from(self.under_way[ticket].wants))
        self.shrink(ticket, replace(want, amount=amount), self.under_way[ticket].at)
        self.under_way[ticket] = self.under_way[ticket].less(want.counter, amount)
        if ticket in self.live:
            self.live[ticket] = self.live[ticket].less(want.counter, amount)

    @precondition(lambda self: any(want.counter != "under way" for one in self.under_way.values() for want in one.wants))
    @rule(data=st.data(), taken=amounts, used=amounts)
    def what_was_taken_of_it_is_settled(self, data: st.DataObject, taken: int, used: int) -> None:
        """A request that had taken its part from another ticket, a lease: whoever holds that does not hear of it."""
        those = [
            (ticket, want) for ticket in sorted(self.under_way) for want in self.under_way[ticket].wants if want.counter != "under way"
        ]
        lease, want = data.draw(st.sampled_from(those))
        self.number += 1
        self.leases.add(lease)
        charge = Charge(want.counter, want.terms, used, "org", lease, taken)
        settlement = Settlement(self.number, b"taker", self.under_way[lease].at, (charge,))
        self.settlements.append(settlement)
        crossed = self.settle([settlement])
        assert {(each.counter, each.threshold) for each in crossed} == self.crosses(settlement)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.under_way)))
        one, known = self.under_way[ticket]._replace(over=self.over()), self.live.get(ticket)
        if ticket in self.leases and (known is None or known.over <= self.ms):
            return  # it is over, and whether it is remembered how much was left of it is not promised
        self.hold(ticket, one)
        self.under_way[ticket] = one
        self.live[ticket] = one if known is None else one._replace(wants=known.wants)
        self.left = {each for each in self.left if each[0] != ticket}

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.9, 2.0, 7.0, 31.9, 34.0, 64.0, 70.0, 300.0, 3600.0, 86_400.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds
        self.latest = max(self.now, self.latest)

    @precondition(lambda self: self.turns_back and self.now > START + TTL)
    @rule(seconds=st.floats(0.1, TTL - 1))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.let_go()
        self.live = {ticket: one for ticket, one in self.live.items() if one.over > self.ms}
        self.used = [used for used in self.used if self.counts(used.part, TERMS[used.counter])]
        for ticket, one in self.live.items():
            spots = {want.counter: spot(want.terms.window, int(one.at * 1000)).part for want in one.wants}
            self.left |= {(ticket, name) for name, part in spots.items() if not self.counts(part, TERMS[name])}
        # Further back, and what is reserved then would be over before what has been let go of already.
        self.now = max(self.now - seconds, self.latest - TTL + 1)

    @invariant()
    def counts_are_right(self) -> None:
        assert dict(zip(TERMS, self.look(TERMS), strict=True)) == {name: self.expected(name) for name in TERMS}

    def teardown(self) -> None:
        """All that is under way ends, and nothing is reserved any more."""
        for ticket, one in self.under_way.items():
            self.number += 1
            settlement = Settlement(self.number, ticket, one.at, tuple(Charge(want.counter, want.terms, 0, "org") for want in one.wants))
            self.settle([settlement])
        assert all(found.used == found.settled for found in self.look(TERMS))
        self.close()

    def close(self) -> None:
        """The subclass is done."""
