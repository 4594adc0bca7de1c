"""Who holds which slots, against a model that knows nothing but the two rules: none is free that somebody waits for, and first come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from extproc.slots.slot import Choice, Want
from extproc.slots.table import Table

RED = Want("tenant:red", 2)
SCOPES = {"target:a": 1, "target:b": 2, "provider:p": 2}


def wants(*names: str) -> Choice:
    return tuple(Want(name, SCOPES[name]) for name in names)


WISHES: list[tuple[Choice, ...]] = [
    (wants("target:a"),),
    (wants("target:a", "provider:p"),),
    (wants("target:a", "provider:p"), wants("target:b", "provider:p")),
    (wants("target:b"), wants("target:a")),
    (wants("provider:p"),),
    (wants("target:a"), ()),
]


class Slots(RuleBasedStateMachine):
    """Callers come, wait, give up, end and die."""

    @initialize()
    def begin(self) -> None:
        self.table = Table()
        self.now = 0.0
        self.tickets = 0
        self.held: dict[bytes, tuple[str, Choice]] = {}
        self.line: dict[bytes, tuple[str, tuple[Choice, ...]]] = {}
        self.woken: list[bytes] = []

    def free(self, choice: Choice) -> bool:
        used = [want.scope for _, held in self.held.values() for want in held]
        return all(used.count(want.scope) < want.most for want in choice)

    def woke(self, ticket: bytes, owner: str, choices: tuple[Choice, ...], at: int) -> None:
        assert self.free(choices[at])
        assert all(not self.free(choice) for choice in choices[:at])
        # Nobody who came before could have been served in his place.
        for before, (_, theirs) in self.line.items():
            if before == ticket:
                break
            assert not any(self.free(choice) for choice in theirs)
        del self.line[ticket]
        self.held[ticket] = owner, choices[at]

    @rule(owner=st.sampled_from("xy"), choices=st.sampled_from(WISHES), most=st.integers(0, 3))
    def come(self, owner: str, choices: tuple[Choice, ...], most: int) -> None:
        self.tickets += 1
        ticket = b"%d" % self.tickets
        expected = next((at for at, choice in enumerate(choices) if self.free(choice)), None)
        assert self.table.take(ticket, owner, choices, self.now) == expected
        if expected is not None:
            self.held[ticket] = owner, choices[expected]
            return
        scopes = {want.scope for choice in choices for want in choice}
        before = [sum(scope in {want.scope for one in theirs for want in one} for _, theirs in self.line.values()) for scope in scopes]
        waits = self.table.wait(ticket, owner, choices, most, lambda at: self.woke(ticket, owner, choices, at), self.now)
        assert waits == all(count < most for count in before)
        if waits:
            self.line[ticket] = owner, choices

    @precondition(lambda self: self.held)
    @rule(data=st.data(), stay=st.floats(0, 5))
    def end(self, data: st.DataObject, stay: float) -> None:
        self.now += stay
        ticket = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[ticket]
        self.table.release(ticket, self.now)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.line)))
        del self.line[ticket]
        self.table.leave(ticket, self.now)

    @rule(ticket=st.integers(0, 20))
    def strangers_change_nothing(self, ticket: int) -> None:
        self.table.release(b"stranger %d" % ticket, self.now)
        self.table.leave(b"stranger %d" % ticket, self.now)

    @rule(owner=st.sampled_from("xy"))
    def die(self, owner: str) -> None:
        # One after another: in between others may be served, and the model hears of it as it happens.
        for ticket in [ticket for ticket, one in self.line.items() if one[0] == owner]:
            del self.line[ticket]
            self.table.leave(ticket, self.now)
        for ticket in [ticket for ticket, one in self.held.items() if one[0] == owner]:
            del self.held[ticket]
            self.table.release(ticket, self.now)
        self.table.dead(owner, self.now)

    @invariant()
    def as_many_as_there_are(self) -> None:
        for scope, most in SCOPES.items():
            held = sum(want.scope == scope for _, choice in self.held.values() for want in choice)
            assert self.table.held(scope) == held <= most
        assert self.table.waiting == len(self.line)

    @invariant()
    def nobody_waits_who_need_not(self) -> None:
        assert not any(self.free(choice) for _, choices in self.line.values() for choice in choices)

    @invariant()
    def nothing_is_remembered_of_nobody(self) -> None:
        if not self.held and not self.line:
            assert self.table.scopes == 0


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_the_dead_give_back_what_they_hold() -> None:
    table, woken = Table(), list[int]()
    assert [table.take(name, owner, ((RED,),), 0) for name, owner in ((b"1", "x"), (b"2", "y"), (b"3", "y"))] == [0, 0, None]
    assert table.wait(b"3", "y", ((RED,),), 1, woken.append, 0)
    assert not table.wait(b"4", "y", ((RED,),), 1, woken.append, 0)
    table.dead("x", 1)
    assert woken == [0] and table.held(RED.scope) == 2
    table.dead("y", 1)
    assert table.held(RED.scope) == 0 == table.scopes


def test_who_gives_up_when_he_was_served_already_gives_back() -> None:
    table, woken = Table(), list[int]()
    one = Want("tenant:red", 1)
    table.take(b"1", "x", ((one,),), 0)
    table.wait(b"2", "x", ((one,),), 1, woken.append, 0)
    table.release(b"1", 1)
    assert woken == [0]
    table.leave(b"2", 1)
    assert table.scopes == 0


def test_a_new_limit_counts_at_once() -> None:
    table, woken = Table(), list[int]()
    table.take(b"1", "x", ((Want("tenant:red", 1),),), 0)
    table.wait(b"2", "x", ((Want("tenant:red", 1),),), 5, woken.append, 0)
    assert table.take(b"3", "x", ((Want("tenant:red", 3),),), 0) == 0
    assert woken == [0], "who waited comes first"
    assert table.take(b"4", "x", ((Want("tenant:red", 2),),), 0) is None


def test_what_is_held_anyway_is_counted() -> None:
    table = Table()
    for ticket in (b"1", b"2", b"3", b"3"):
        table.hold(ticket, "x", (RED,), 0)
    assert table.held(RED.scope) == 3
    table.release(b"1", 0)
    assert table.take(b"4", "x", ((RED,),), 0) is None


def test_when_to_come_again() -> None:
    table = Table()
    assert table.after("tenant:red") == 1
    for ticket in (b"1", b"2"):
        table.take(ticket, "x", ((RED,),), 0)
    table.release(b"1", 8)
    table.take(b"3", "x", ((RED,),), 8)
    assert table.after(RED.scope) == pytest.approx(4), "two slots, held for 8 s each"
    table.wait(b"4", "x", ((RED,),), 9, lambda _: None, 8)
    assert table.after(RED.scope) == pytest.approx(8)
    for more in range(99):
        table.wait(b"w%d" % more, "x", ((RED,),), 999, lambda _: None, 8)
    assert table.after(RED.scope) == 30


def test_which_one_was_full() -> None:
    table = Table()
    free, busy = Want("target:a", 1), Want("provider:p", 1)
    table.take(b"1", "x", ((busy,),), 0)
    assert table.full(((free, busy), (RED,))) == "provider:p"
    assert table.full(((free,),)) == "target:a"
    assert table.full(((),)) == ""


ADAPTS = Want("target:a", 100, adapt=True)


def filled(count: int) -> Table:
    table = Table()
    for ticket in range(count):
        assert table.take(b"%d" % ticket, "x", ((ADAPTS,),), 0) == 0
    return table


def test_overload_lowers_a_limit_and_time_raises_it() -> None:
    table = filled(100)
    table.overloaded(ADAPTS.scope, 10)
    table.overloaded(ADAPTS.scope, 10.5)
    assert table.limit(ADAPTS.scope) == pytest.approx(70), "those of one moment are one sign"
    table.overloaded(ADAPTS.scope, 11)
    assert table.limit(ADAPTS.scope) == pytest.approx(49)
    for ticket in range(52):
        table.release(b"%d" % ticket, 12)
    assert 49.9 < (table.limit(ADAPTS.scope) or 0) < 50.1, "one more for as many as there are"
    assert table.take(b"new", "x", ((ADAPTS,),), 12) == 0


def test_what_was_not_used_is_taken_off_by_half() -> None:
    table = filled(1)
    table.overloaded(ADAPTS.scope, 0)
    assert table.limit(ADAPTS.scope) == pytest.approx(35)
    table.release(b"0", 1)
    assert table.limit(ADAPTS.scope), "what was learnt is kept while nobody asks"


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60))
def test_a_limit_stays_between_one_and_its_most(steps: list[tuple[bool, float]]) -> None:
    table, now = Table(), 0.0
    for at, (overload, pause) in enumerate(steps):
        now += pause
        table.take(b"%d" % at, "x", ((ADAPTS,),), now)
        if overload:
            table.overloaded(ADAPTS.scope, now)
        else:
            table.release(b"%d" % at, now)
        limit = table.limit(ADAPTS.scope)
        assert limit is None or 1 <= limit <= ADAPTS.most


def test_a_limit_that_adapts_no_longer() -> None:
    table = filled(1)
    table.overloaded(ADAPTS.scope, 0)
    table.take(b"more", "x", ((Want(ADAPTS.scope, 100),),), 0)
    assert table.limit(ADAPTS.scope) == 100
    table.overloaded("target:nobody", 0)
    assert table.limit("target:nobody") is None
