from collections.abc import Iterable

import msgspec
import pytest

from extproc.config.fleet import Canary
from extproc.xds.canaries import Canaries
from extproc.xds.nodes import Nack, Node, Nodes
from extproc.xds.rollout import Rollout, State

SETTLE = 30.0


def rollout(canary: Canary | None = None, keep: int = 3) -> Rollout:
    """One whose stable version is `1`."""
    made = Rollout(Canaries(canary), SETTLE, keep)
    made.offer("1")
    advance(made, [])
    assert made.phase == "steady"
    return made


def nodes(*ids: str) -> list[Node]:
    return [Node(id, connected=True) for id in ids]


def take(made: Rollout, fleet: Iterable[Node]) -> set[str]:
    """All nodes take what they are to have. Who has changed."""
    changed = set()
    for node in fleet:
        if node.complete != made.wanted(node):
            node.complete = made.wanted(node)
            changed.add(node.id)
    return changed


def advance(made: Rollout, fleet: list[Node], now: float = 0.0) -> None:
    """Time passes, until it counts as settled."""
    made.observe(fleet, now)
    made.observe(fleet, now + SETTLE)


def test_the_first_version_goes_to_all() -> None:
    made, fleet = Rollout(Canaries(Canary(nodes=("a",))), SETTLE, 3), nodes("a", "b")
    assert made.phase == "none" and made.wanted(fleet[0]) == ""
    assert made.offer("1")
    assert take(made, fleet) == {"a", "b"}
    advance(made, fleet)
    assert made.phase == "steady"


def test_canaries_are_first() -> None:
    made, fleet = rollout(Canary(nodes=("canary-*",))), nodes("canary-1", "b", "c")
    take(made, fleet)
    assert made.offer("2") and made.phase == "canary"
    assert take(made, fleet) == {"canary-1"}
    assert not made.observe(fleet, 0) and not made.observe(fleet, SETTLE - 1)
    assert made.observe(fleet, SETTLE) and made.phase == "spreading"
    assert take(made, fleet) == {"b", "c"}
    advance(made, fleet, 100)
    assert made.phase == "steady" and made.state.stable == "2" and made.state.past == ["1"]


def test_it_waits_for_all_canaries_and_from_the_last_on() -> None:
    made, fleet = rollout(Canary(metadata={"track": "canary"})), nodes("a", "b", "c")
    for node in fleet[:2]:
        node.metadata = {"track": "canary", "zone": "x"}
    made.offer("2")
    take(made, fleet[:1])
    advance(made, fleet)
    assert made.phase == "canary"
    take(made, fleet[:2])
    assert not made.observe(fleet, 100)
    # Another one comes, and does not have it yet: it begins anew.
    fleet.append(Node("d", metadata={"track": "canary"}))
    assert not made.observe(fleet, 100 + SETTLE)
    take(made, fleet)
    assert not made.observe(fleet, 101 + SETTLE)
    assert made.observe(fleet, 101 + 2 * SETTLE)


def test_without_a_canary_that_is_there_it_waits() -> None:
    made, fleet = rollout(Canary(nodes=("a",))), nodes("b")
    made.offer("2")
    advance(made, fleet)
    assert made.phase == "canary" and made.wanted(fleet[0]) == "1"
    assert made.promote() and made.wanted(fleet[0]) == "2"


def test_a_share_is_always_somebody() -> None:
    made, fleet = rollout(Canary(share=0.01)), nodes("a", "b", "c")
    take(made, fleet)
    made.offer("2")
    made.observe(fleet, 0)
    (canary,) = take(made, fleet)
    # It stays the one, whoever comes.
    fleet += nodes(*map(str, range(20)))
    made.observe(fleet, 1)
    assert made.wanted(next(node for node in fleet if node.id == canary)) == "2"


def test_a_share_is_about_that_many() -> None:
    canaries = Canaries(Canary(share=0.25))
    assert 200 < sum(canaries.has(node) for node in nodes(*map(str, range(1000)))) < 300


@pytest.mark.parametrize("spread", [False, True])
def test_a_refusal_takes_it_back_from_everybody(spread: bool) -> None:
    made, fleet = rollout(Canary(nodes=("a",))), nodes("a", "b")
    take(made, fleet)
    made.offer("2")
    if spread:
        made.promote()
    take(made, fleet)
    assert made.refuse("2", "a", "LDS", "no", 5.0)
    assert [made.wanted(node) for node in fleet] == ["1", "1"]
    assert made.state.refusal is not None and made.state.refusal.node == "a"
    # The configuration still says so; then it says something else; then the same again.
    assert not made.offer("2")
    assert made.offer("3")
    assert made.state.refusal is None
    assert made.offer("2")


def test_what_was_refused_before_it_is_offered_changes_nothing() -> None:
    made = rollout()
    made.offer("2")
    assert not made.refuse("1", "a", "LDS", "no", 5.0)
    assert made.phase == "spreading"


def test_a_refusal_of_the_stable_one_is_the_nodes_own_trouble() -> None:
    made, fleet = rollout(), nodes("a", "b")
    assert not made.refuse("1", "a", "LDS", "no", 5.0)
    assert made.wanted(fleet[1]) == "1" and made.phase == "steady"


def test_who_refuses_the_very_first_keeps_nobody_else_from_it() -> None:
    made, fleet = Rollout(Canaries(None), SETTLE, 3), nodes("a", "b")
    made.offer("1")
    assert not made.refuse("1", "a", "LDS", "no", 5.0)
    assert made.wanted(fleet[1]) == "1"


def test_a_configuration_that_goes_back_by_itself() -> None:
    made, fleet = rollout(Canary(nodes=("a",))), nodes("a", "b")
    made.offer("2")
    assert made.offer("1") and made.phase == "steady"
    assert not made.offer("1")
    assert made.wanted(fleet[0]) == "1"


def test_an_operator_goes_back() -> None:
    made = rollout()
    made.offer("2")
    advance(made, [])
    assert made.roll_back(1.0) and made.state.stable == "1"
    assert not made.offer("2")
    assert not made.roll_back(2.0)
    assert made.offer("3")


def test_so_many_versions_are_kept() -> None:
    made = rollout()
    for version in "234567":
        made.offer(version)
        advance(made, [])
    assert made.state.past == ["4", "5", "6"]
    assert set(made.kept()) == {"4", "5", "6", "7"}


def test_after_a_restart_it_goes_on() -> None:
    made, fleet = rollout(Canary(nodes=("a",))), nodes("a", "b")
    made.offer("2")
    state = msgspec.json.decode(msgspec.json.encode(made.state), type=State)
    again = Rollout(Canaries(Canary(nodes=("a",))), SETTLE, 3, state)
    assert not again.offer("2") and again.phase == "canary"
    assert [again.wanted(node) for node in fleet] == ["2", "1"]


def test_nodes_that_are_gone_are_remembered_for_a_while() -> None:
    known = Nodes()
    for at in range(1100):
        node = known.came(Node(str(at), connected=True))
        node.nack = Nack("1", "LDS", "no", 0.0)
        known.went(node, at)
    assert len(list(known)) == 1000
    assert not known.connected()
    back = known.came(Node("1099", connected=True))
    assert back.nack is not None and not back.complete
