"""The breaker: opens exactly when it is said, never gives more probes than are allowed, and time never goes back."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from extproc.config.breaker import Breaker
from extproc.standing.breaker import Circuit, Outcome, State

GOOD, BAD, NOTHING, OTHER = Outcome


def broken(**more: object) -> Circuit:
    """One that has just opened, at the time 0."""
    circuit = Circuit(Breaker(failures=2, open=10, **more))  # type: ignore[arg-type]
    assert not circuit.hear(BAD, 0, 0)
    assert circuit.hear(BAD, 0, 0)
    return circuit


def test_failures_in_a_row() -> None:
    circuit = Circuit(Breaker())
    for at in range(4):
        assert not circuit.hear(BAD, at, at)
    circuit.hear(GOOD, 4, 4)
    for at in range(5, 9):
        assert not circuit.hear(BAD, at, at)
    # Nobody's fault changes nothing.
    circuit.hear(NOTHING, 9, 9)
    assert circuit.hear(BAD, 9, 9)
    assert (circuit.state, circuit.since, circuit.until, circuit.row) == ("open", 9, 69, 5)


def test_a_rate_counts_among_enough_of_the_last_seconds() -> None:
    circuit = Circuit(Breaker(failures=100, rate=0.5, least=10, over=60))
    for at in range(8):
        circuit.hear(GOOD if at % 2 else BAD, at, at)
    circuit.hear(GOOD, 8, 8)
    assert circuit.look(9) == "closed", "too few"
    assert circuit.hear(BAD, 9, 9)
    circuit = Circuit(Breaker(failures=100, rate=0.5, least=10, over=60))
    circuit.hear(BAD, 0, 0, times=9)
    circuit.hear(GOOD, 66, 66, times=9)
    assert not circuit.hear(BAD, 67, 67), "those of a minute ago count no more"


def test_half_open_one_probe_closes_it_or_opens_it_again() -> None:
    for outcome, state in ((GOOD, "closed"), (BAD, "open")):
        circuit = broken()
        assert circuit.lease(9.9) == 0
        assert circuit.lease(10) > 0
        assert circuit.lease(10) == 0
        assert circuit.hear(outcome, 10, 11)
        assert circuit.look(11) == state
    assert circuit.until == 21


def test_a_probe_that_shows_nothing_or_is_not_used_is_given_to_another() -> None:
    circuit = broken()
    lease = circuit.lease(10)
    circuit.give_back(lease)
    assert circuit.lease(10) > lease
    assert not circuit.hear(NOTHING, 10, 11)
    assert circuit.lease(11)
    assert circuit.lease(20) == 0
    assert circuit.lease(21), "its outcome never came"


def test_a_probe_that_fails_in_a_way_that_does_not_count_closes_it() -> None:
    """What it was opened for is over; while it is open, or closed, such a failure shows nothing."""
    circuit = broken()
    assert not circuit.hear(OTHER, 9, 9)
    assert circuit.lease(10)
    assert circuit.hear(OTHER, 10, 11)
    assert circuit.look(11) == "closed"
    assert not circuit.hear(OTHER, 12, 12)


def test_what_began_before_the_state_did_shows_nothing_of_it() -> None:
    circuit = broken()
    circuit.lease(10)
    assert not circuit.hear(GOOD, 9, 11)
    assert not circuit.hear(BAD, 9, 11)
    assert circuit.hear(GOOD, 10, 12)
    for _ in range(10):
        assert not circuit.hear(BAD, 11, 13)
    assert circuit.look(13) == "closed"


def test_one_that_is_asked_though_it_is_open_and_answers() -> None:
    circuit = broken()
    assert not circuit.hear(BAD, 3, 3)
    assert circuit.until == 10, "failing again does not keep it open for longer"
    assert circuit.hear(GOOD, 4, 5)
    assert circuit.state == "closed"


def test_several_probes() -> None:
    circuit = broken(probes=2)
    assert [bool(circuit.lease(10)) for _ in range(3)] == [True, True, False]
    assert not circuit.hear(GOOD, 10, 11)
    assert circuit.lease(11)
    assert circuit.hear(GOOD, 10, 11)


def test_what_another_machine_has_found_out() -> None:
    circuit = Circuit(Breaker(open=10))
    assert circuit.adopt("open", 100, 4)
    assert circuit.look(103.9) == "open"
    assert circuit.look(104) == "half_open"
    assert circuit.adopt("closed", 105)
    assert not circuit.adopt("closed", 105)
    assert circuit.adopt("open", 106, 1e9)
    assert circuit.until == 116, "never for longer than it would be here"


class Machine(RuleBasedStateMachine):
    """Against a model that remembers everything and counts anew each time."""

    @initialize(
        failures=st.integers(1, 4), rate=st.none() | st.sampled_from([0.25, 0.5, 1.0]), least=st.integers(1, 6), probes=st.integers(1, 3)
    )
    def begin(self, failures: int, rate: float | None, least: int, probes: int) -> None:
        self.settings = Breaker(failures=failures, rate=rate, least=least, over=12, open=5, probes=probes)
        self.circuit = Circuit(self.settings)
        self.now = 0
        self.state: State = "closed"
        self.since = float("-inf")
        self.log: list[tuple[int, Outcome]] = []
        """What counted in this state: the second, and the outcome."""
        self.leases: dict[int, int] = {}

    def become(self, state: State, since: float) -> None:
        self.state, self.since, self.log, self.leases = state, since, [], {}

    def pass_time(self) -> None:
        if self.state == "open" and self.now >= self.since + 5:
            self.become("half_open", self.since + 5)

    def good(self) -> int:
        """Probes that were answered."""
        return sum(outcome in (GOOD, OTHER) for _, outcome in self.log)

    def due(self) -> bool:
        row = 0
        for _, outcome in reversed([one for one in self.log if one[1] in (GOOD, BAD)]):
            if outcome is GOOD:
                break
            row += 1
        # The window's steps are seconds here: the one that is not over yet, and eleven before it.
        recent = [outcome for at, outcome in self.log if at > self.now - 12 and outcome in (GOOD, BAD)]
        bad, rate = recent.count(BAD), self.settings.rate
        return row >= self.settings.failures or (rate is not None and len(recent) >= self.settings.least and bad >= rate * len(recent))

    @rule(seconds=st.integers(1, 14))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(back=st.integers(1, 5))
    def look_back(self, back: int) -> None:
        """A clock that goes back changes nothing."""
        self.pass_time()
        self.circuit.look(self.now)
        assert self.circuit.look(self.now - back) == self.state

    @rule(outcome=st.sampled_from(Outcome), ago=st.integers(0, 6))
    def hear(self, outcome: Outcome, ago: int) -> None:
        self.pass_time()
        before = self.state
        changed = self.circuit.hear(outcome, self.now - ago, self.now)
        if self.now - ago >= self.since:
            self.log.append((self.now, outcome))
            if before == "half_open" and outcome is not BAD and self.leases:
                del self.leases[next(iter(self.leases))]
            if (before == "closed" and outcome is BAD and self.due()) or (before == "half_open" and outcome is BAD):
                self.become("open", self.now)
            elif (before == "open" and outcome is GOOD) or (before == "half_open" and self.good() >= self.settings.probes):
                self.become("closed", self.now)
        assert changed == (self.state != before)

    @rule()
    def lease(self) -> None:
        self.pass_time()
        lease = self.circuit.lease(self.now)
        self.leases = {number: end for number, end in self.leases.items() if end > self.now}
        assert bool(lease) == (self.state == "half_open" and len(self.leases) < self.settings.probes)
        if lease:
            assert lease not in self.leases
            self.leases[lease] = self.now + 5

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.leases:
            lease = data.draw(st.sampled_from(sorted(self.leases)))
            self.circuit.give_back(lease)
            del self.leases[lease]

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "circuit"):
            self.pass_time()
            assert self.circuit.look(self.now) == self.state


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
